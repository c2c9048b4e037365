import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync } from "node:fs";
import { hostname } from "node:os";
import { MEMORY_MIB, type Stage } from "./stage.ts";

const MOST_NAMES = 65_536;
const CLOCK_DRIFT_MS = 5_000;
const LATER_KILLED = "later for the oom killer";
const CAP_SYS_RESOURCE = 1n << 24n;
const DEVICES = ["null", "zero", "full", "random", "urandom"].map((name) => `/dev/${name}`);
/** Shown to every sandbox. */
const SHARED_FILES = [
  "/usr/share/zoneinfo/UTC",
  "/usr/lib/os-release",
  "/usr/bin/env",
  "/etc/ld.so.cache",
  "/usr/lib/x86_64-linux-gnu/libc.so.6",
  "/usr/lib/aarch64-linux-gnu/libc.so.6",
  "/etc/ssl/certs/ca-certificates.crt",
  "/usr/lib",
];
/** Over which runtimes lay a device. */
const MASKED_FILES = ["/proc/kallsyms", "/proc/keys", "/proc/interrupts"];
const NO_CAPABILITIES = { Inh: 0, Prm: 0, Eff: 0, Bnd: 0, Amb: 0 };

/** What a function asks the kernel for. */
export function attackTheKernel(stage: Stage): void {
  const { attack } = stage;
  attack(
    "is granted no mount, namespace, trace, key, module, clock, device, capability or strange socket",
    async ({ run, sandbox }) => {
      const { machine } = stage;
      const before = ofTheHost();
      const { granted, refused } = await run<{ granted: string[]; refused: object }>("calls");
      assert.ok(Object.keys(refused).length > (machine.hasOwnKernel ? 20 : 120), "it asked for little");
      if (!machine.hasOwnKernel)
        assert.deepEqual(
          granted.filter((title) => title !== LATER_KILLED || canKeep()),
          [],
        );
      assert.deepEqual(ofTheHost(), before);
      if (machine.hasOwnKernel) return;
      const pids = await machine.pidsOf(sandbox.id);
      assert.ok(pids.length > 0);
      for (const pid of pids) assertPowerless(pid);
    },
  );

  attack("holds no lock on a file or a device of the host's, and changes no date of one", async ({ run, sandbox }) => {
    const { machine } = stage;
    const shows = Object.entries(machine.runtime.files?.shows ?? {});
    const shared = [...SHARED_FILES, ...DEVICES]
      .filter((path) => existsSync(path))
      .map((path) => [path, path] as const);
    const [onHost, inside] = [0, 1].map((side) => [...shared, ...shows].map((pair) => pair[side]!)) as [
      string[],
      string[],
    ];
    const before = onHost.map((path) => statSync(path).mtimeMs);
    const { locks, dated } = await run<{ locks: number; dated: string[] }>("lock", {
      files: [...inside, ...MASKED_FILES],
    });
    assert.ok(locks >= inside.length, `it got ${locks} locks`);
    const files = onHost.map(fileOf);
    const held = readFileSync("/proc/locks", "utf8").split("\n");
    assert.deepEqual(
      held.filter((line) => files.some((file) => line.includes(` ${file} `))),
      [],
    );
    assert.deepEqual(
      onHost.map((path) => statSync(path).mtimeMs),
      before,
    );
    if (machine.hasOwnKernel) return;
    assert.deepEqual(dated, []);
    const pids = await machine.pidsOf(sandbox.id);
    assert.ok(
      held.some((line) => pids.some((pid) => line.includes(` ${pid} `))),
      "it holds none of them",
    );
  });

  attack("has a table of mounts in which whatever can be written is small and of its own", async ({ sandbox }) => {
    const { machine } = stage;
    if (machine.hasOwnKernel) return;
    const [pid] = await machine.pidsOf(sandbox.id);
    const table = readFileSync(`/proc/${pid}/mountinfo`, "utf8").trim().split("\n");
    const large = table.filter((line) => isWritable(line) && !isBounded(line));
    assert.ok(table.length > 10);
    assert.deepEqual(large, []);
  });
}

/** As /proc/locks names it. */
function fileOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  const hex = (number: bigint) => number.toString(16).padStart(2, "0");
  // As <sys/sysmacros.h> takes a device's number apart.
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  return `${hex(major)}:${hex(minor)}:${ino}`;
}

/** Only a host whose root may raise limits can keep others from doing so. */
function canKeep(): boolean {
  const [, bits = "0"] = /^CapEff:\t(\w+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (BigInt(`0x${bits}`) & CAP_SYS_RESOURCE) !== 0n;
}

/** As the host sees it. */
function ofTheHost() {
  const mounts = readFileSync("/proc/1/mountinfo", "utf8").split("\n");
  return {
    hostname: hostname(),
    clockIsRight: Math.abs(Date.now() - performance.now() - performance.timeOrigin) < CLOCK_DRIFT_MS,
    attacked: mounts.filter((line) => line.includes("attacked")),
    devices: DEVICES.map((path) => statSync(path).mode),
  };
}

/** One user of its own on the host, without any capability, and nothing to get one by. */
function assertPowerless(pid: number): void {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const users = [...status.matchAll(/^(?:Uid|Gid):(.*)$/gm)].flatMap(([, ids]) => ids!.trim().split("\t").map(Number));
  assert.equal(users.length, 8);
  assert.ok(
    users.every((id) => id >= 1_000_000_000 && id === users[0]),
    `users ${users}`,
  );
  const capabilities = [...status.matchAll(/^Cap(\w+):\t(\w+)$/gm)].map(([, set, bits]) => [
    set,
    Number.parseInt(bits!, 16),
  ]);
  assert.deepEqual(Object.fromEntries(capabilities), NO_CAPABILITIES);
  assert.match(status, /^NoNewPrivs:\t1$/m);
  assert.match(status, /^Seccomp:\t2$/m);
  for (const path of DEVICES) assert.notEqual(statSync(path).uid, users[0], `${path} belongs to the function`);
  for (const name of ["user", "pid", "net", "mnt", "ipc", "uts", "cgroup"])
    assert.notEqual(
      statSync(`/proc/${pid}/ns/${name}`).ino,
      statSync(`/proc/self/ns/${name}`).ino,
      `${name} namespace`,
    );
}

function isWritable(line: string): boolean {
  const [before = "", after = ""] = line.split(" - ");
  const options = before.split(" ")[5] ?? "";
  const superOptions = after.split(" ")[2] ?? "";
  return options.split(",")[0] === "rw" && superOptions.split(",")[0] === "rw";
}

/** Half of its memory, and names that do not fill the other half. */
function hasBounds(options: string): boolean {
  const [, sizeKiB] = /(?:^|,)size=(\d+)k/.exec(options) ?? [];
  const [, names] = /(?:^|,)nr_inodes=(\d+)/.exec(options) ?? [];
  const isSmall = sizeKiB !== undefined && Number(sizeKiB) > 0 && Number(sizeKiB) <= (MEMORY_MIB / 2) * 1024;
  return isSmall && names !== undefined && Number(names) <= MOST_NAMES;
}

/** In memory with a bound, or the kernel's own. */
function isBounded(line: string): boolean {
  const [, after = ""] = line.split(" - ");
  const [type, , options = ""] = after.split(" ");
  return type === "proc" || (type === "tmpfs" && hasBounds(options));
}
