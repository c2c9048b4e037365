import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { loadSystemCalls, MOUNT } from "#base/system-calls.ts";
import { openCgroups } from "./cgroups.ts";
import { inspectCgroups } from "./inspect.ts";
import { plainFolder } from "./plain.fixture.ts";

const HEAD = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n";
const ALL = `${HEAD}cpu\t1\t1\t1\nmemory\t2\t1\t1\nfreezer\t3\t1\t1\npids\t4\t1\t1\n`;

interface MachineFiles {
  /** By folder: type and options, such as `cgroup rw,memory`. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly cgroups?: string;
  readonly filesystems?: string;
  /** cgroup.controllers by folder. */
  readonly v2?: Readonly<Record<string, string>>;
}

function machine(t: TestContext, { mounts, cgroups = ALL, filesystems = "nodev\tcgroup2\n", v2 = {} }: MachineFiles) {
  const folder = plainFolder(t, { "proc/cgroups": cgroups, "proc/filesystems": filesystems });
  const lines = Object.entries(mounts).map(([name, mount]) => {
    const [type, options] = mount.split(" ");
    const point = join(folder.root, name);
    mkdirSync(point, { recursive: true });
    return `31 23 0:28 / ${point.replaceAll(" ", "\\040")} rw,relatime shared:5 - ${type} ${type} ${options}`;
  });
  folder.write("proc/self/mountinfo", `1 0 8:1 / / rw - ext4 /dev/sda rw\n${lines.join("\n")}\n`);
  for (const [name, controllers] of Object.entries(v2)) folder.write(`${name}/cgroup.controllers`, `${controllers}\n`);
  const at = (name: string) => join(folder.root, name);
  return { at, found: inspectCgroups({ procFolder: at("proc") }), procFolder: at("proc") };
}

const V1 = { "c/memory": "cgroup rw,memory", "c/pids": "cgroup rw,pids", "c/freezer": "cgroup rw,freezer" };

test("v1, some controllers mounted together, in folders with blanks", (t) => {
  const { found, at } = machine(t, {
    mounts: { ...V1, "c/c p u": "cgroup rw,cpu,cpuacct", "c/systemd": "cgroup rw,name=systemd" },
  });
  assert.ok(found.kind === "usable");
  assert.equal(found.version, "v1");
  assert.deepEqual(found.layout.roots, {
    memory: at("c/memory"),
    cpu: at("c/c p u"),
    pids: at("c/pids"),
    freezer: at("c/freezer"),
  });
  assert.deepEqual(found.layout.all, ["c/memory", "c/pids", "c/freezer", "c/c p u", "c/systemd"].map(at));
});

test("hybrid: v1 controllers, and a v2 tree beside them, counted once", (t) => {
  const mounts = { ...V1, "c/cpu": "cgroup rw,cpu", "c/unified": "cgroup2 rw", other: "cgroup2 rw" };
  const { found, at } = machine(t, { mounts, v2: { "c/unified": "", other: "" } });
  assert.ok(found.kind === "usable");
  assert.equal(found.version, "hybrid");
  assert.ok(found.layout.all.includes(at("c/unified")));
  assert.ok(!found.layout.all.includes(at("other")));
});

test("v2, beside v1 hierarchies of other controllers", (t) => {
  const mounts = { c: "cgroup2 rw,nsdelegate", "c/net_cls": "cgroup rw,net_cls" };
  const { found, at } = machine(t, { mounts, v2: { c: "cpuset cpu io memory pids" } });
  assert.ok(found.kind === "usable");
  assert.equal(found.version, "v2");
  assert.deepEqual(found.layout.roots, { memory: at("c"), cpu: at("c"), pids: at("c"), freezer: at("c") });
});

test("nothing mounted: the remedy tells a kernel that could from one that can't", (t) => {
  const could = machine(t, { mounts: {} }).found;
  assert.ok(could.kind === "unusable");
  assert.equal(could.version, "none");
  assert.equal(could.remedy, "mount -t cgroup2 cgroup2 /sys/fs/cgroup");
  const cannot = machine(t, { mounts: {}, filesystems: "nodev\ttmpfs\n" }).found;
  assert.ok(cannot.kind === "unusable" && cannot.remedy === "use a kernel with CONFIG_CGROUPS");
});

test("a controller that lacks is named, with what would bring it", (t) => {
  const mounts = { c: "cgroup2 rw" };
  const v2 = { c: "cpuset cpu io pids" };
  const remedyFor = (cgroups: string) => {
    const { found } = machine(t, { mounts, v2, cgroups });
    assert.ok(found.kind === "unusable");
    assert.equal(found.reason, "this machine's control groups (v2) lack memory");
    assert.deepEqual(found.controllers, { memory: "missing", cpu: "writable", pids: "writable", freezer: "writable" });
    return found.remedy;
  };
  assert.equal(
    remedyFor(ALL.replace("memory\t2\t1\t1", "memory\t0\t1\t0")),
    "start the kernel with cgroup_enable=memory",
  );
  assert.equal(remedyFor(HEAD), "use a kernel that is built with the controller memory");
  assert.match(remedyFor(ALL), /Delegate=yes/);
  const { found } = machine(t, { mounts: V1 });
  assert.ok(found.kind === "unusable" && /mount -t cgroup -o cpu /.test(found.remedy));
});

test("controllers shared out between v1 and v2 are of no use, and opening says so", async (t) => {
  const mounts = { "c/memory": "cgroup rw,memory", "c/unified": "cgroup2 rw" };
  const { procFolder } = machine(t, { mounts, v2: { "c/unified": "cpu pids" } });
  const deps = { clock: createSystemClock(), log: createSilentLog() };
  const message = /\(v2\) lack memory: /;
  await assert.rejects(openCgroups(deps, { parent: "colibri/t", procFolder }), { code: "unavailable", message });
});

const skip = process.getuid?.() === 0 ? false : "mounts need root";

test("groups that can't be made are told from groups that lack", { skip }, async (t) => {
  const { root } = plainFolder(t, { "cgroup.controllers": "cpu memory pids\n" });
  const calls = await loadSystemCalls();
  calls.unshareMounts();
  calls.mount({ target: "/", flags: MOUNT.recursive | MOUNT.private });
  calls.mount({ source: root, target: root, flags: MOUNT.bind });
  try {
    assert.equal(inspectCgroups({ root }).kind, "usable");
    calls.mount({ target: root, flags: MOUNT.bind | MOUNT.remount | MOUNT.readOnly });
    const found = inspectCgroups({ root });
    assert.ok(found.kind === "unusable");
    assert.match(found.reason, /can be made in .*\(EROFS\)/);
    assert.equal(found.controllers.memory, "not-writable");
  } finally {
    calls.unmount(root);
  }
});

test("a folder in place of the machine's: v1 by its folders' names, hybrid with a v2 tree", (t) => {
  const v1 = { "memory/x": "", "cpu,cpuacct/x": "", "pids/x": "", "freezer/x": "" };
  const { root } = plainFolder(t, v1);
  const found = inspectCgroups({ root });
  assert.ok(found.kind === "usable" && found.version === "v1");
  assert.equal(found.layout.roots.cpu, join(root, "cpu,cpuacct"));
  const hybrid = inspectCgroups({ root: plainFolder(t, { ...v1, "unified/cgroup.controllers": "\n" }).root });
  assert.ok(hybrid.kind === "usable" && hybrid.version === "hybrid");
});
