import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { Reaper } from "#base/reaper.ts";
import { gone } from "./builder.fixture.ts";
import { runTool } from "./run-tool.ts";

const clock = createSystemClock();
const reaper = new Reaper({ clock, log: createSilentLog() });
/** Nobody else's: processes are looked for by it. */
const folder = join(tmpdir(), `colibri-run-tool-${process.pid}`);

async function shell(script: string, signal = AbortSignal.timeout(20_000), time = clock) {
  const shown: string[] = [];
  const tool = {
    name: "sh",
    command: ["/bin/sh"],
    args: ["-c", script],
    folder: tmpdir(),
    environment: { PATH: "/usr/bin:/bin", HOME: join(folder, "home") },
  };
  const outcome = await runTool(tool, { clock: time, reaper, folder, output: (line) => shown.push(line), signal });
  return { outcome, shown };
}

test("lines of both outputs and the code come back", async () => {
  const { outcome, shown } = await shell("echo one; echo two >&2; printf three; exit 3");
  assert.deepEqual(outcome.kind === "exited" && outcome.code, 3);
  assert.deepEqual(shown.toSorted(), ["one", "three", "two"]);
});

test("a tool gets no environment but its own", async () => {
  const { shown } = await shell("env | cut -d= -f1 | sort");
  assert.deepEqual(
    shown.filter((name) => !["PATH", "HOME", "PWD", "SHLVL", "_", "OLDPWD"].includes(name)),
    [],
  );
});

test("an endless line is cut, and of many lines the last are kept", async () => {
  const { outcome, shown } = await shell("head -c 3000000 /dev/zero | tr '\\0' x; echo; seq 1000");
  assert.ok(shown.every((line) => line.length <= 4_096));
  assert.equal(outcome.kind === "exited" && outcome.lines.length, 400);
  assert.equal(outcome.kind === "exited" && outcome.lines.at(-1), "1000");
});

test("children that a tool leaves behind are ended with it, not waited for", { timeout: 15_000 }, async () => {
  const standing = { ...clock, after: () => ({}), cancel: () => {} };
  const { shown } = await shell("sleep 1000 & echo $!", AbortSignal.timeout(20_000), standing);
  await gone(Number(shown[0]));
});

test("a child that left the group, hid its environment and holds the output open does not hold up the build", {
  timeout: 15_000,
}, async (t) => {
  const place = mkdtempSync(join(tmpdir(), "colibri-left-"));
  t.after(() => rmSync(place, { recursive: true }));
  const fifo = join(place, "left");
  // The tool ends only when its child has left.
  const { outcome, shown } = await shell(
    `mkfifo ${fifo}; env -i setsid sh -c 'echo $$; echo gone > ${fifo}; exec sleep 60' & cat ${fifo} >/dev/null`,
  );
  process.kill(Number(shown[0]), "SIGKILL");
  assert.equal(outcome.kind, "exited");
});

test("a child that left the group is ended with its tool, and at abort", { timeout: 15_000 }, async () => {
  const leave = "setsid sleep 1000 >/dev/null 2>&1 & echo $!";
  const { shown } = await shell(leave);
  await gone(Number(shown[0]));
  const controller = new AbortController();
  let pid = 0;
  const heard = Promise.withResolvers<void>();
  const tool = { name: "sh", command: ["/bin/sh"], args: ["-c", `${leave}; sleep 1000`], folder: tmpdir() };
  const environment = { PATH: "/usr/bin:/bin", TMPDIR: folder };
  const output = (line: string) => {
    pid = Number(line);
    heard.resolve();
  };
  const running = runTool({ ...tool, environment }, { clock, reaper, folder, output, signal: controller.signal });
  await heard.promise;
  controller.abort(new Error("enough"));
  await assert.rejects(running, /enough/);
  await gone(pid);
});

test("abort ends the tool at once", async () => {
  const controller = new AbortController();
  const running = shell("echo started; sleep 1000", controller.signal);
  controller.abort(new Error("enough"));
  await assert.rejects(running, /enough/);
});

test("a program that is not there is missing", async () => {
  const tool = { name: "x", command: ["program-that-is-not-there"], args: [], folder: tmpdir(), environment: {} };
  const deps = { clock, reaper, folder, output: () => {}, signal: AbortSignal.timeout(5_000) };
  assert.deepEqual(await runTool(tool, deps), { kind: "missing" });
});
