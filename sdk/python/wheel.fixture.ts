import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export const execute = promisify(execFile);

export interface Built {
  readonly folder: string;
  /** Python takes it as a folder of modules. */
  readonly wheel: string;
  run(args: readonly string[], cwd?: string): Promise<{ stdout: string; stderr: string }>;
  remove(): void;
}

/** The wheel, built by its own backend. */
export async function buildWheel(): Promise<Built> {
  const folder = mkdtempSync(join(tmpdir(), "colibri-sdk-python-"));
  const dist = join(folder, "dist");
  const { stdout } = await execute("python3", ["-B", "sdk/python/backend.py", dist]);
  const wheel = join(dist, stdout.trim());
  return {
    folder,
    wheel,
    run: (args, cwd) =>
      execute("python3", ["-B", ...args], {
        env: { PATH: process.env.PATH, PYTHONPATH: wheel },
        timeout: 50_000,
        ...(cwd !== undefined && { cwd }),
      }),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}
