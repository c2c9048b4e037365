import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadSystemCalls, MOUNT } from "./system-calls.ts";

const root = process.getuid?.() === 0 ? false : "mounts need root";

function folder(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), "colibri-mounts-"));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

test("mounts, and what was not mounted, in a mount table of its own", { skip: root }, async (t) => {
  const calls = await loadSystemCalls();
  calls.unshareMounts();
  calls.mount({ target: "/", flags: MOUNT.recursive | MOUNT.private });
  const target = folder(t);
  calls.mount({ source: "tmpfs", target, type: "tmpfs", flags: MOUNT.noDevices, data: "size=64k" });
  writeFileSync(join(target, "seen"), "here");
  assert.equal(calls.unmount(target), true);
  assert.equal(existsSync(join(target, "seen")), false);
  assert.equal(calls.unmount(target), false);
  const into = join(target, "missing");
  assert.throws(() => calls.mount({ source: "tmpfs", target: into, type: "tmpfs", flags: 0 }), { code: "ENOENT" });
});

test("orphans are reaped with the code or the signal of their end", async () => {
  const calls = await loadSystemCalls();
  calls.becomeSubreaper();
  const ends = [
    ["exit 3", { code: 3, signal: null }],
    ["exec sh -c 'kill -9 $$'", { code: null, signal: 9 }],
  ] as const;
  for (const [script, exit] of ends) {
    const parent = spawn("sh", ["-c", `(read go; ${script}) <&3 >/dev/null & echo $!`], {
      stdio: ["ignore", "pipe", "inherit", "pipe"],
    });
    const [output] = await once(parent.stdout!, "data");
    await once(parent, "exit");
    const pid = Number(String(output));
    assert.equal(calls.reap(pid), undefined);
    (parent.stdio[3] as NodeJS.WritableStream).end("go\n");
    let reaped = calls.reap(pid);
    for (; reaped === undefined; reaped = calls.reap(pid)) await new Promise(setImmediate);
    assert.deepEqual(reaped, exit);
    assert.equal(calls.reap(pid), "lost");
  }
});
