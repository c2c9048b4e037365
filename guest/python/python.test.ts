import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { dirname } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));

function missingPython(): string | undefined {
  try {
    execFileSync("python3", ["-c", "import sys; sys.exit(sys.version_info < (3, 9))"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "python3 3.9 or newer is not on the PATH: the Python guest's unit tests do not run here";
  }
}

const missing = missingPython();

test("the Python guest's unit tests", { skip: missing ?? false }, (t) => {
  const run = spawnSync("python3", ["-B", "-m", "unittest", "discover", "-s", "tests", "-t", "."], {
    cwd: here,
    encoding: "utf8",
    timeout: 120_000,
  });
  const ran = /^Ran (\d+) tests? /m.exec(run.stderr);
  t.diagnostic(ran?.[0] ?? "no tests ran");
  assert.equal(run.status, 0, run.stderr || String(run.error));
  assert.ok(Number(ran?.[1]) >= 38, `all of them run, not only ${ran?.[1]}`);
});
