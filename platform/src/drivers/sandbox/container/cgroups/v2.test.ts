// On plain files, which take everything and enforce nothing: what would be said to a kernel with v2 controllers.
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createSystemClock, sleep } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { type CgroupLimits, openCgroups } from "./cgroups.ts";
import { type PlainFolder, plainFolder } from "./plain.fixture.ts";

const clock = createSystemClock();
const deps = { clock, log: createSilentLog() };
const LIMITS: CgroupLimits = { memoryMiB: 128, pids: 50, cpuWeight: 300, cpus: 0.5 };

const LEVEL = {
  "cgroup.controllers": "cpuset cpu io memory pids\n",
  "cgroup.subtree_control": "\n",
  "cgroup.procs": "",
};
const GROUP = {
  ...LEVEL,
  "cgroup.freeze": "0\n",
  "cgroup.kill": "",
  "cgroup.events": "populated 0\nfrozen 0\n",
  "memory.max": "max\n",
  "memory.high": "max\n",
  "memory.swap.max": "max\n",
  "memory.oom.group": "0\n",
  "memory.current": `${100 * 1024 * 1024}\n`,
  "memory.stat": `anon 5\ninactive_anon 1\ninactive_file ${30 * 1024 * 1024}\nactive_file 7\n`,
  "memory.events": "low 0\nhigh 0\nmax 9\noom 2\noom_kill 3\noom_group_kill 1\n",
  "pids.max": "max\n",
  "cpu.weight": "100\n",
  "cpu.max": "max 100000\n",
};

function at(folder: string, files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([name, text]) => [`${folder}${name}`, text]));
}

function machine(t: TestContext, group: Readonly<Record<string, string>> = GROUP): PlainFolder {
  return plainFolder(t, {
    ...at("", LEVEL),
    ...at("colibri/", LEVEL),
    ...at("colibri/t/", LEVEL),
    ...at("colibri/t/s1/", group),
  });
}

function open({ root }: PlainFolder) {
  return openCgroups(deps, { parent: "colibri/t", root });
}

test("controllers are enabled on every level above the groups, and not in them", async (t) => {
  const folder = machine(t);
  folder.write("colibri/cgroup.subtree_control", "memory pids cpu io\n");
  folder.write("colibri/t/cgroup.subtree_control", "pids\n");
  const groups = await open(folder);
  assert.equal(groups.version, "v2");
  assert.equal(folder.read("cgroup.subtree_control"), "+memory +cpu +pids");
  assert.equal(folder.read("colibri/cgroup.subtree_control"), "memory pids cpu io\n");
  assert.equal(folder.read("colibri/t/cgroup.subtree_control"), "+memory +cpu");
  assert.equal(folder.read("colibri/t/s1/cgroup.subtree_control"), "\n");
  assert.deepEqual(await groups.list(), ["s1"]);
});

test("limits, with a ceiling of the processor and without", async (t) => {
  const folder = machine(t);
  const group = (await open(folder)).find("s1");
  await group.setLimits(LIMITS);
  const said = (file: string) => folder.read(`colibri/t/s1/${file}`);
  assert.equal(said("memory.max"), String(128 * 1024 * 1024));
  assert.equal(said("memory.swap.max"), "0");
  assert.equal(said("memory.oom.group"), "1");
  assert.equal(said("memory.high"), "max\n");
  assert.equal(said("pids.max"), "50");
  assert.equal(said("cpu.weight"), "300");
  assert.equal(said("cpu.max"), "50000 100000");
  await group.setLimits({ ...LIMITS, cpus: 0.001 });
  assert.equal(said("cpu.max"), "1000 100000");
  await group.setLimits({ ...LIMITS, cpus: undefined });
  assert.equal(said("cpu.max"), "max 100000");
});

test("a kernel without swap or bandwidth control has no such files, and needs none", async (t) => {
  const { "memory.swap.max": _swap, "cpu.max": _cpu, ...rest } = GROUP;
  const group = (await open(machine(t, rest))).find("s1");
  await group.setLimits({ ...LIMITS, cpus: undefined });
  await assert.rejects(group.setLimits(LIMITS), { code: "unavailable", message: /cpu.max .*there is no such file/ });
});

test("memory in use without what the kernel can drop, and processes killed for want of it", async (t) => {
  const group = (await open(machine(t))).find("s1");
  assert.equal(await group.memoryMiB(), 70);
  assert.equal(await group.oomKills(), 3);
});

test("freezing waits for the kernel to say that it is done", async (t) => {
  const folder = machine(t);
  const group = (await open(folder)).find("s1");
  let isFrozen = false;
  const freezing = group.freeze().then(() => assert.ok(isFrozen));
  await sleep(clock, 20);
  assert.equal(folder.read("colibri/t/s1/cgroup.freeze"), "1");
  isFrozen = true;
  folder.write("colibri/t/s1/cgroup.events", "populated 1\nfrozen 1\n");
  await freezing;
  const thawing = group.thaw().then(() => assert.ok(!isFrozen));
  await sleep(clock, 20);
  assert.equal(folder.read("colibri/t/s1/cgroup.freeze"), "0");
  isFrozen = false;
  folder.write("colibri/t/s1/cgroup.events", "populated 1\nfrozen 0\n");
  await thawing;
});

test("what the kernel never freezes runs on, and is said", async (t) => {
  const folder = machine(t);
  const group = (await open(folder)).find("s1");
  await assert.rejects(group.freeze(), { code: "unavailable", message: /s1 can't be frozen/ });
  assert.equal(folder.read("colibri/t/s1/cgroup.freeze"), "0");
});

test("a level to which a controller is not handed down is named, with the remedy", async (t) => {
  const { "cgroup.subtree_control": _, ...rest } = LEVEL;
  const folder = plainFolder(t, { ...at("", LEVEL), ...at("colibri/", rest), ...at("colibri/t/", LEVEL) });
  const message = /controllers memory, cpu, pids can't be enabled in .*colibri: they are not handed down.*Delegate=yes/;
  await assert.rejects(open(folder), { code: "unavailable", message });
});
