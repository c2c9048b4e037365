import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock, sleep } from "./clock.ts";
import { createFreezer } from "./frozen.fixture.ts";
import { createLog } from "./log.ts";
import { isRunning, readStat } from "./process-group.ts";
import { descendantsOf, Reaper } from "./reaper.ts";

const clock = createSystemClock();

function make(t: TestContext, patienceMs = 5_000) {
  const root = mkdtempSync(join(tmpdir(), "colibri-reaper-"));
  const started: ChildProcess[] = [];
  t.after(() => {
    for (const child of started) child.kill("SIGKILL");
    rmSync(root, { recursive: true });
  });
  const logged: { message: string; id: string; processes: string[] }[] = [];
  const log = createLog({ clock, write: (line) => logged.push(JSON.parse(line)) }, { level: "info" });
  /** A group of its own. */
  async function start(environment: Record<string, string>, command = ["/bin/sleep", "60"]): Promise<number> {
    const [program = "", ...args] = command;
    const child = spawn(program, args, { env: environment, detached: true, stdio: "ignore" });
    started.push(child);
    await once(child, "spawn");
    return child.pid!;
  }
  return { root, logged, start, reaper: new Reaper({ clock, log }, { patienceMs }) };
}

const lives = (pid: number) => isRunning(pid, readStat(pid)?.startTime ?? "");

test("whoever was started with HOME or TMPDIR in the folder is ended, in whatever group; neighbours are not", async (t) => {
  const { root, reaper, start } = make(t);
  const folder = join(root, "a");
  const mine = [
    await start({ HOME: folder }),
    await start({ A: "1", TMPDIR: `${folder}/tmp` }),
    await start({ HOME: "/", TMPDIR: `${folder}/tmp/deeper`, Z: "" }),
  ];
  const others = [
    await start({ HOME: `${folder}b`, TMPDIR: root }),
    await start({ PWD: folder, OLDPWD: folder, NOTHOME: folder, X: `HOME=${folder}` }),
    await start({}),
  ];
  assert.equal(await reaper.end({ id: "a", groups: [], folder, kin: [] }), true);
  assert.deepEqual(
    [mine.map(lives), others.map(lives)],
    [
      [false, false, false],
      [true, true, true],
    ],
  );
});

test("groups and those known by name are ended; a pid that was given away is not", async (t) => {
  const { reaper, start } = make(t);
  const group = await start({}, ["/bin/sh", "-c", "sleep 60 & wait"]);
  while (descendantsOf(group).length === 0) await sleep(clock, 5);
  const [inGroup] = descendantsOf(group);
  const kin = await start({});
  const reused = await start({});
  const { startTime } = readStat(kin)!;
  const names = [
    { pid: kin, startTime },
    { pid: reused, startTime: `${Number(readStat(reused)!.startTime) - 1}` },
  ];
  assert.equal(await reaper.end({ id: "a", groups: [group], folder: undefined, kin: names }), true);
  assert.deepEqual([group, inGroup!.pid, kin, reused].map(lives), [false, false, false, true]);
});

test("many that end at once are looked for together, each told when its own are gone", async (t) => {
  const { root, reaper, start } = make(t);
  const ids = Array.from({ length: 20 }, (_, index) => `s${index}`);
  const pids = await Promise.all(ids.map((id) => start({ HOME: join(root, id, "tmp") })));
  await Promise.all(
    ids.map(async (id, index) => {
      assert.equal(await reaper.end({ id, groups: [], folder: join(root, id), kin: [] }), true);
      assert.ok(!lives(pids[index]!), id);
    }),
  );
});

test("whoever is found too late to wait for the end is killed all the same", { timeout: 10_000 }, async (t) => {
  const { root, reaper, start } = make(t, 0);
  const folder = join(root, "a");
  const pid = await start({ HOME: folder });
  assert.equal(await reaper.end({ id: "a", groups: [], folder, kin: [] }), false);
  while (lives(pid)) await sleep(clock, 5);
});

test("descendants are found over generations and sessions, as long as their parents live", async (t) => {
  const { start } = make(t);
  const pid = await start({}, ["/bin/sh", "-c", "setsid sh -c 'sleep 60 & wait' & wait"]);
  while (descendantsOf(pid).length < 2) await sleep(clock, 5);
  const found = descendantsOf(pid);
  assert.equal(found.length, 2);
  for (const { pid: one, startTime } of found) assert.ok(isRunning(one, startTime));
  assert.deepEqual(descendantsOf(2 ** 22 + 1), []);
  for (const { pid: one } of found) process.kill(one, "SIGKILL");
});

test("what can't be killed is let go after a time, in one line, and tried again later", async (t) => {
  const freezer = createFreezer("reaper");
  if (typeof freezer === "string") return t.skip(freezer);
  t.after(() => freezer.remove());
  const { root, logged, reaper, start } = make(t, 200);
  const folder = join(root, "a");
  const pid = await start({ HOME: folder });
  freezer.freeze(pid);
  const begun = clock.monotonic();
  assert.equal(await reaper.end({ id: "a", groups: [pid], folder, kin: [] }), false);
  assert.ok(clock.monotonic() - begun < 2_000);
  assert.equal(logged.length, 1);
  assert.match(logged[0]!.message, /can't be killed and are let go/);
  assert.deepEqual([logged[0]!.id, logged[0]!.processes], ["a", [`${pid} (state D)`]]);
  // Others are not held up.
  const next = await start({ HOME: join(root, "b") });
  assert.equal(await reaper.end({ id: "b", groups: [], folder: join(root, "b"), kin: [] }), true);
  assert.ok(!lives(next));
  assert.equal(logged.length, 1);
  freezer.thaw();
  while (lives(pid)) await sleep(clock, 5);
  assert.equal(await reaper.end({ id: "c", groups: [], folder: join(root, "c"), kin: [] }), true);
  assert.deepEqual(
    logged.slice(1).map(({ message, id }) => [message, id]),
    [["processes that could not be killed are gone", "a"]],
  );
});
