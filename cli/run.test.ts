import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { test } from "node:test";
import { LAUNCHER } from "./fixture/run.ts";

test("what can't be written is told, and the command failed", async () => {
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [LAUNCHER, "explain", "--json"], {
    env: { PATH: process.env.PATH },
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  const [err, code] = await Promise.all([
    child.stderr!.toArray(),
    new Promise((resolve) => child.once("exit", resolve)),
  ]);
  assert.equal(code, 1);
  assert.match(Buffer.concat(err).toString(), /^error: the output can't be written: ENOSPC: no space left on device/);
});
