import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { LoadOptions } from "#guest/testing/driven-control.ts";
import { type GuestCommand, GuestDriver } from "#guest/testing/guest-driver.ts";

const PYTHON = "python3";
/** As the agent starts it. */
export const PYTHON_OPTIONS = ["-E", "-s", "-S"];

export const pythonGuest: GuestCommand = {
  file: PYTHON,
  args: [...PYTHON_OPTIONS, join(dirname(fileURLToPath(import.meta.url)), "colibri_guest")],
};

/** Why the Python guest can't be tested here; false when it can. */
export function missingPython(): string | false {
  try {
    execFileSync(PYTHON, ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"], { stdio: "ignore" });
    return false;
  } catch {
    return `${PYTHON} 3.9 or newer is not on the PATH: the Python guest is not tested here`;
  }
}

/** A guest that is told nothing yet, removed after the test. */
export async function startPython(t: TestContext): Promise<GuestDriver> {
  const guest = await GuestDriver.start(pythonGuest);
  t.after(() => guest.stop());
  return guest;
}

/** A guest with `main.py`, initialised. */
export async function readyPython(t: TestContext, source: string, options: LoadOptions = {}, handler = "main.py") {
  const guest = await startPython(t);
  const given = { handler, files: { "main.py": source } };
  return { guest, ...(await guest.ready(given, { execution: "threads", ...options })) };
}
