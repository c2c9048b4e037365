import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { promisify } from "node:util";

const SCRIPT = `
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { createSystemClock } from "./clock.ts";
import { createSilentLog } from "./log.ts";
import { isRunning, readStat } from "./process-group.ts";
import { Reaper } from "./reaper.ts";

// The clock keeps nobody running.
const busy = setInterval(() => {}, 1_000);
const folder = "/nowhere/" + process.pid;
const child = spawn("/bin/sleep", ["60"], { env: { HOME: folder }, detached: true, stdio: "ignore" });
const { startTime } = readStat(child.pid);
const lives = () => isRunning(child.pid, startTime);
const code = () => { try { return readStat(child.pid)?.state ?? "gone"; } catch (error) { return error.code; } };
const end = (patienceMs) => {
  const reaper = new Reaper({ clock: createSystemClock(), log: createSilentLog() }, { patienceMs });
  return reaper.end({ id: "a", groups: [], folder, kin: [] });
};
isRunning(2 ** 22 + 1, "0");
const open = [];
try { for (;;) open.push(openSync("/dev/null")); } catch {}
const without = [code(), lives(), isRunning(2 ** 22 + 1, "0"), await end(100), lives()];
for (const one of open) closeSync(one);
const withSome = [lives(), await end(10_000), lives()];
child.kill("SIGKILL");
clearInterval(busy);
console.log(JSON.stringify([without, withSome]));
`;

test("without a descriptor left nobody is believed to have ended, and with one again they are ended", async () => {
  // A process of its own, whose descriptors can be used up.
  const limited = ["-c", 'ulimit -n 64; exec "$0" "$@"', process.execPath, "--input-type=module-typescript", "-e"];
  const { stdout } = await promisify(execFile)("/bin/sh", [...limited, SCRIPT], {
    cwd: import.meta.dirname,
    timeout: 20_000,
  });
  assert.deepEqual(JSON.parse(stdout), [
    ["EMFILE", true, false, false, true],
    [true, true, false],
  ]);
});
