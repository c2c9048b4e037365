import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { readMainThread } from "#base/process-group.ts";
import { type CgroupLimits, type Cgroups, openCgroups } from "./cgroups.ts";
import type { Flavour } from "./flavour.ts";
import { inspectCgroups, type Layout } from "./inspect.ts";
import { startIn } from "./joined.fixture.ts";
import { openTree } from "./tree.ts";
import { V2 } from "./v2.ts";

const clock = createSystemClock();
const deps = { clock, log: createSilentLog() };
const TOP = `colibri-test-${process.pid}`;
const PARENT = `${TOP}/groups`;
const ROOMY: CgroupLimits = { memoryMiB: 256, pids: 64, cpuWeight: 100, cpus: undefined };
const NODE = process.execPath;

const found = inspectCgroups();
const skip = found.kind === "unusable" ? `no control groups to test with: ${found.reason} (${found.remedy})` : false;
const UNIFIED = "/sys/fs/cgroup/unified";

/** The v2 tree of a hybrid machine: groups without controllers, and so without limits. */
const WITHOUT_CONTROLLERS: Flavour = { ...V2, allowNested() {}, setLimits() {} };
/** As before Linux 5.14. */
const WITHOUT_KILL_FILE: Flavour = { ...WITHOUT_CONTROLLERS, killFile: undefined };

function openUnified(flavour: Flavour): Cgroups {
  const roots = { memory: UNIFIED, cpu: UNIFIED, pids: UNIFIED, freezer: UNIFIED };
  return openTree(deps, { version: "v2", layout: { roots, all: [UNIFIED] }, flavour, parent: PARENT });
}

interface Kind {
  readonly name: string;
  readonly skip: string | false;
  readonly roots: readonly string[];
  open(): Promise<Cgroups> | Cgroups;
}

const noUnified = existsSync(join(UNIFIED, "cgroup.procs")) ? skip : `no v2 tree at ${UNIFIED}`;
const machine: Kind = {
  name: "this machine's",
  skip,
  roots: layoutOf().all,
  open: () => openCgroups(deps, { parent: PARENT }),
};
const KINDS: readonly Kind[] = [
  machine,
  { name: "v2 without controllers", skip: noUnified, roots: [UNIFIED], open: () => openUnified(WITHOUT_CONTROLLERS) },
  { name: "v2 before cgroup.kill", skip: noUnified, roots: [UNIFIED], open: () => openUnified(WITHOUT_KILL_FILE) },
];

function layoutOf(): Layout {
  return found.kind === "usable" ? found.layout : { roots: { memory: "", cpu: "", pids: "", freezer: "" }, all: [] };
}

/** Sees to it that nothing stays, whatever becomes of the test. */
async function open(t: TestContext, kind: Kind = machine): Promise<Cgroups> {
  const groups = await kind.open();
  t.after(async () => {
    for (const id of await groups.list()) {
      await groups.find(id).kill();
      assert.equal(await groups.find(id).remove(), true);
    }
    await groups.close();
    assert.deepEqual(leftIn(kind), []);
  });
  return groups;
}

function leftIn(kind: Kind): string[] {
  return kind.roots.map((root) => join(root, TOP)).filter(existsSync);
}

/** Fails when it does not come to be; never only waits. */
async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const endMs = clock.monotonic() + 5_000; !(await isSo()); await sleep(clock, 2))
    assert.ok(clock.monotonic() < endMs, `in five seconds not so: ${what}`);
}

function cpuMsOf(pid: number): number {
  return readMainThread(pid)?.cpuMs ?? 0;
}

/** The groups in the tree's parent. */
function countBelow(root: string): number {
  const folder = join(root, PARENT);
  return existsSync(folder)
    ? readdirSync(folder, { withFileTypes: true }).filter((one) => one.isDirectory()).length
    : 0;
}

/** Limits what runs in groups that limit nothing. */
async function cage(t: TestContext): Promise<readonly string[]> {
  const groups = await openCgroups(deps, { parent: `${TOP}-cage` });
  const group = await groups.create("cage", ROOMY);
  t.after(async () => {
    await group.kill();
    assert.equal(await group.remove(), true);
    await groups.close();
  });
  return group.joinFiles;
}

/** As many as are allowed, and every moment others: who may not fork ends now and then, and makes room for a new one. */
const FORK_BOMB = `import os, time
print("go", flush=True)
while True:
    try:
        os.fork()
    except OSError:
        if time.monotonic_ns() % 10 == 0: os._exit(0)`;

for (const kind of KINDS) {
  const options = { skip: kind.skip };

  test(`${kind.name}: a frozen group stands still, a thawed one goes on`, options, async (t) => {
    const group = await (await open(t, kind)).create("still", ROOMY);
    const { child } = startIn(t, group, ["sh", "-c", "echo go; while :; do :; done"]);
    await until(async () => cpuMsOf(child.pid!) > 0, "it runs");
    await group.freeze();
    const frozen = cpuMsOf(child.pid!);
    await sleep(clock, 100);
    assert.equal(cpuMsOf(child.pid!), frozen);
    assert.deepEqual(await group.processes(), [child.pid]);
    await group.thaw();
    await until(() => cpuMsOf(child.pid!) > frozen, "it goes on");
  });

  test(`${kind.name}: an empty group freezes and thaws; one that is gone can't`, options, async (t) => {
    const group = await (await open(t, kind)).create("empty", ROOMY);
    await group.freeze();
    await group.thaw();
    assert.equal(await group.remove(), true);
    await assert.rejects(group.freeze(), { code: "unavailable", message: /the group is gone/ });
    await group.kill();
    assert.deepEqual([await group.processes(), await group.oomKills(), await group.memoryMiB()], [[], 0, undefined]);
    assert.equal(await group.remove(), true);
  });

  test(`${kind.name}: what is frozen is killed`, options, async (t) => {
    const group = await (await open(t, kind)).create("frozen", ROOMY);
    const { line, ended } = startIn(t, group, ["sh", "-c", "sleep 100 & echo go; wait"]);
    await line();
    await group.freeze();
    assert.equal((await group.processes()).length, 2);
    await group.kill();
    assert.deepEqual(await ended, { code: null, signal: "SIGKILL" });
    assert.deepEqual(await group.processes(), []);
    assert.equal(await group.remove(), true);
  });

  test(`${kind.name}: what forks without end is killed`, options, async (t) => {
    const caged = kind === machine ? [] : await cage(t);
    const group = await (await open(t, kind)).create("bomb", ROOMY);
    const { line, ended } = startIn(t, { joinFiles: [...caged, ...group.joinFiles] }, ["python3", "-c", FORK_BOMB]);
    await line();
    await until(async () => (await group.processes()).length > ROOMY.pids / 2, "it has spread");
    await group.kill();
    await ended;
    assert.deepEqual(await group.processes(), []);
    assert.equal(await group.remove(), true);
  });

  test(`${kind.name}: nested groups are seen, killed and removed`, options, async (t) => {
    const groups = await open(t, kind);
    const group = await groups.create("nest", ROOMY);
    // As a runtime does it that makes groups in hierarchies that are not ours, too.
    for (const root of kind.roots) mkdirSync(join(root, group.path, "inner", "most"), { recursive: true });
    const most = groups.find("nest");
    const joinFiles = most.joinFiles.map((file) => file.replace(/\/cgroup.procs$/, "/inner/most/cgroup.procs"));
    const { line, child, ended } = startIn(t, { ...most, joinFiles }, ["sh", "-c", "echo go; exec sleep 100"]);
    await line();
    assert.deepEqual(await group.processes(), [child.pid]);
    await group.kill();
    assert.equal((await ended).signal, "SIGKILL");
    assert.equal(await group.remove(), true);
    assert.deepEqual(await groups.list(), []);
  });

  test(`${kind.name}: groups outlive who made them, and are found and listed`, options, async (t) => {
    const before = await kind.open();
    const { joinFiles } = await before.create("b", ROOMY);
    await before.create("a", ROOMY);
    await before.close();
    const groups = await open(t, kind);
    assert.deepEqual(await groups.list(), ["a", "b"]);
    assert.deepEqual(groups.find("b").joinFiles, joinFiles);
    const { line, child } = startIn(t, groups.find("b"), ["sh", "-c", "echo go; exec sleep 100"]);
    await line();
    assert.deepEqual(await before.find("b").processes(), [child.pid]);
  });

  test(`${kind.name}: a group in use is not removed, and removed when it is empty`, options, async (t) => {
    const group = await (await open(t, kind)).create("busy", ROOMY);
    const { line } = startIn(t, group, ["sh", "-c", "echo go; exec sleep 100"]);
    await line();
    assert.equal(await group.remove(), false);
    await group.kill();
    assert.equal(await group.remove(), true);
  });

  test(`${kind.name}: two hundred groups come and go and leave nothing`, options, async (t) => {
    const groups = await open(t, kind);
    const before = kind.roots.map(countBelow);
    for (let cycle = 0; cycle < 200; cycle++) {
      const group = await groups.create(`cycle-${cycle}`, ROOMY);
      assert.equal(await group.remove(), true);
    }
    assert.deepEqual(kind.roots.map(countBelow), before);
    assert.deepEqual(await groups.list(), []);
  });

  test(`${kind.name}: a parent that somebody removed is made again`, options, async (t) => {
    const groups = await open(t, kind);
    await groups.close();
    assert.deepEqual(leftIn(kind), []);
    await groups.create("again", ROOMY);
    assert.deepEqual(await groups.list(), ["again"]);
  });
}

function contentsOf(id: string, controller: keyof Layout["roots"], file: string): string {
  return readFileSync(join(layoutOf().roots[controller], PARENT, id, file), "latin1").trim();
}

test("a process over the memory limit is killed, and counted", { skip }, async (t) => {
  const group = await (await open(t)).create("memory", { ...ROOMY, memoryMiB: 32 });
  const hog = "const all = []; for (let s = 1; s < 300; s++) all.push(Buffer.alloc(1 << 20, s));";
  const { ended } = startIn(t, group, [NODE, "-e", hog]);
  assert.equal((await ended).signal, "SIGKILL");
  assert.equal(await group.oomKills(), 1);
});

test("memory in use is told, and limits move while it is", { skip }, async (t) => {
  const groups = await open(t);
  const group = await groups.create("moves", { ...ROOMY, memoryMiB: 128 });
  const hold = "const held = Buffer.alloc(40 << 20, 1); console.log('held'); setInterval(() => held, 1e6);";
  const { line } = startIn(t, group, [NODE, "-e", hold]);
  assert.equal(await line(), "held");
  const used = (await group.memoryMiB()) ?? 0;
  assert.ok(used > 40 && used < 128, `${used}`);
  // Up, and down again: of memory and memory with swap each must be moved first once.
  for (const memoryMiB of [256, 120]) {
    await group.setLimits({ memoryMiB, pids: 99, cpuWeight: 50, cpus: 1.5 });
    const file = groups.version === "v2" ? "memory.max" : "memory.limit_in_bytes";
    assert.equal(contentsOf("moves", "memory", file), String(memoryMiB * 1024 * 1024));
  }
  assert.equal(contentsOf("moves", "pids", "pids.max"), "99");
});

test("v1: what they say to the kernel", {
  skip: found.version.match(/v2|none/) ? "no v1 controllers" : false,
}, async (t) => {
  const group = await (await open(t)).create("says", { memoryMiB: 64, pids: 7, cpuWeight: 200, cpus: 0.25 });
  const withSwap = "memory.memsw.limit_in_bytes";
  if (existsSync(join(layoutOf().roots.memory, withSwap))) {
    assert.equal(contentsOf("says", "memory", withSwap), String(64 * 1024 * 1024));
  }
  assert.equal(contentsOf("says", "cpu", "cpu.shares"), "2048");
  assert.equal(contentsOf("says", "cpu", "cpu.cfs_quota_us"), "25000");
  await group.setLimits({ memoryMiB: 64, pids: 7, cpuWeight: 1, cpus: undefined });
  assert.equal(contentsOf("says", "cpu", "cpu.shares"), "10");
  assert.equal(contentsOf("says", "cpu", "cpu.cfs_quota_us"), "-1");
  const { line } = startIn(t, group, [NODE, "-e", "console.log('up'); setInterval(() => {}, 1e6)"]);
  await group.setLimits({ ...ROOMY, memoryMiB: 64 });
  assert.equal(await line(), "up");
  const tooLittle = group.setLimits({ ...ROOMY, memoryMiB: 1 });
  await assert.rejects(tooLittle, { code: "unavailable", message: /memory.limit_in_bytes .*does not fit/ });
});

test("no more processes than allowed", { skip }, async (t) => {
  const group = await (await open(t)).create("pids", { ...ROOMY, pids: 8 });
  const script = "exec 2>/dev/null; i=0; while [ $i -lt 100 ]; do sleep 100 >/dev/null & i=$((i+1)); done";
  const { ended } = startIn(t, group, ["sh", "-c", script]);
  assert.notEqual((await ended).code, 0);
  assert.equal((await group.processes()).length, 7);
});

test("no more processor time than allowed", { skip }, async (t) => {
  const group = await (await open(t)).create("cpu", { ...ROOMY, cpus: 0.2 });
  const burn = `const start = performance.now(), before = process.cpuUsage();
    while (performance.now() - start < 1500);
    const { user, system } = process.cpuUsage(before);
    console.log((user + system) / 1000 / (performance.now() - start));`;
  const share = Number(await startIn(t, group, [NODE, "-e", burn]).line());
  assert.ok(share > 0.02 && share < 0.3, `${share}`);
});

test("what can't be limited is not made", { skip }, async (t) => {
  const groups = await open(t);
  const tooMany = groups.create("half", { ...ROOMY, pids: 100_000_000 });
  await assert.rejects(tooMany, { code: "unavailable", message: /100000000 for pids.max .*out of its range/ });
  assert.deepEqual(await groups.list(), []);
});

test("what is there already is left alone, and nothing made beside it", { skip }, async (t) => {
  const groups = await open(t);
  const { pids, memory } = layoutOf().roots;
  mkdirSync(join(pids, PARENT, "taken"));
  await assert.rejects(groups.create("taken", ROOMY), { code: "conflict", message: /taken already/ });
  assert.deepEqual(await groups.list(), ["taken"]);
  assert.equal(existsSync(join(memory, PARENT, "taken")), memory === pids);
});

test("v2: a kernel that hands no controllers down is told, and nothing is left", { skip: noControllers() }, (t) => {
  t.after(() => assert.equal(existsSync(join(UNIFIED, TOP)), false));
  const message = /controllers memory, cpu, pids can't be enabled in .*unified: they are not handed down/;
  assert.throws(() => openUnified(V2), { code: "unavailable", message });
});

/** The kernel takes v2's controllers away from a tree as long as v1 has them. */
function noControllers(): string | false {
  return found.version === "hybrid" ? noUnified : "not a hybrid machine";
}

test("names never lead out of the parent", { skip }, async (t) => {
  const groups = await open(t);
  for (const id of ["..", "a/b", "", ".x"]) assert.throws(() => groups.find(id), /is no name of a control group/);
  await assert.rejects(openCgroups(deps, { parent: "colibri/../x" }), /is no path of control groups/);
});
