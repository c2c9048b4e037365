import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { OWN_FOLDERS, type Stage } from "./stage.ts";

const HOST_FILES = [
  "/etc/shadow",
  "/etc/ssh/sshd_config",
  "/root/.bashrc",
  "/etc/machine-id",
  "/etc/hostname",
  "/var/log",
];
/** Set by the driver and the guest. */
const ENVIRONMENT = /^(?:PATH|HOME|TMPDIR|LANG|PWD|SHLVL|_|HOSTNAME|TERM|COLIBRI_[A-Z_]+)$/;

interface Read {
  readonly found: string[];
  readonly readable: string[];
  readonly files: number;
  readonly environment: string[];
  readonly hostname: string;
  readonly told: Record<string, string>;
  /** What `/proc` has of buses and disks. */
  readonly hardware: string[];
}
interface Seen {
  readonly seen: Record<string, string>;
  readonly tried: Record<string, Record<string, unknown>>;
}

/** What a function sees of the host and of others. */
export function attackByReading(stage: Stage): void {
  const { attack } = stage;
  attack("reads nothing of the host, its neighbours or the platform", async ({ run }) => {
    const { machine, traps, neighbour } = stage;
    const bundle = join(machine.home, neighbour.sandbox.id, "secret.txt");
    const beside = join(neighbour.sandbox.address, "..", "secret");
    for (const path of [bundle, ...traps.files]) assert.match(readFileSync(path, "utf8"), /^canary-/);
    const paths = [...traps.files, ...HOST_FILES, bundle, beside, `/proc/${machine.spawnerPid}/environ`];
    const told = await run<Read>("read", { paths });
    assert.ok(told.files > 50, "it looked nowhere");
    assert.deepEqual(told.found, []);
    assert.deepEqual(told.readable, []);
    assert.deepEqual(
      told.environment.filter((name) => !ENVIRONMENT.test(name)),
      [],
    );
    assert.equal(told.hostname, "sandbox");
    const commandLine = readFileSync("/proc/cmdline", "utf8").trim();
    assert.ok(!Object.values(told.told).some((text) => text.includes(commandLine)), "the host's kernel's command line");
    assert.deepEqual(told.hardware, []);
    if (!machine.hasOwnKernel) assert.deepEqual(told.told, { "sys/kernel/hostname": "sandbox\n" });
  });

  attack("sees and signals no process but its own", async ({ run, runToTheEnd, sandbox }) => {
    const { machine, neighbour } = stage;
    const theirs = [machine.spawnerPid, process.pid, ...(await machine.pidsOf(neighbour.sandbox.id))];
    const { seen, tried } = await run<Seen>("processes", { pids: theirs });
    for (const pid of theirs) assert.deepEqual(machine.hasOwnKernel ? {} : statesOf(tried[pid]!), {});
    const own = (await machine.pidsOf(sandbox.id)).map((pid) => innerPid(pid));
    const strange = Object.entries(seen).filter(([pid, command]) => !own.includes(Number(pid)) && !isOwn(command));
    assert.deepEqual(strange, []);
    for (const pid of theirs) assert.doesNotMatch(stateOf(pid), /^State:\t[TZ]/m);
    await runToTheEnd("processes", { pids: [], all: true });
    for (const pid of theirs) assert.doesNotMatch(stateOf(pid), /^State:\t[TZ]/m);
  });

  attack("writes nowhere but in its own folders", async ({ run, sandbox }) => {
    const { machine, traps } = stage;
    const code = join(machine.home, sandbox.id, "attack.mjs");
    const programs = Object.keys(machine.runtime.files?.shows ?? {});
    const before = [code, ...programs, "/bin/sh"].map(fingerprint);
    const files = ["/opt/colibri/guest.mjs", "/opt/colibri/node", "/etc/passwd", "/etc/resolv.conf", "/usr/bin/env"];
    const own = machine.hasOwnKernel ? [...OWN_FOLDERS, "/dev", "/sys", "/usr/lib/", "/usr/share/"] : OWN_FOLDERS;
    const { written } = await run<{ written: string[] }>("write", {
      own,
      files: [...files, ...(machine.hasOwnKernel ? [] : ["/code/attack.mjs"]), ...traps.files],
      settings: SETTINGS,
    });
    assert.deepEqual(machine.hasOwnKernel ? [] : written, []);
    assert.deepEqual([code, ...programs, "/bin/sh"].map(fingerprint), before);
    for (const path of traps.files) assert.match(readFileSync(path, "utf8"), /^canary-/);
    for (const path of Object.keys(SETTINGS).filter((name) => /^\/proc\/sys\/kernel/.test(name) && existsSync(name)))
      assert.doesNotMatch(readFileSync(path, "utf8"), /attacked/);
  });

  attack("reaches no socket of the host, by path, name or port", async ({ run }) => {
    const { traps, neighbour } = stage;
    const paths = [...traps.sockets, neighbour.sandbox.address, "/run/docker.sock", "/run/systemd/private"];
    const hosts = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));
    const orders = {
      paths,
      abstract: [traps.abstract],
      ports: [traps.port],
      hosts: hosts.filter((ip) => ip.includes(".")),
    };
    const { reached } = await run<{ reached: string[] }>("connect", orders);
    assert.deepEqual(reached, []);
    assert.deepEqual(traps.visitors, []);
  });
}

const SETTINGS = {
  "/proc/sys/kernel/core_pattern": "|/attacked",
  "/proc/sys/kernel/hostname": "attacked",
  "/proc/sys/kernel/modprobe": "/attacked",
  "/proc/sys/vm/drop_caches": "1",
  "/proc/sysrq-trigger": "h",
  "/proc/self/oom_score_adj": "-999",
  "/proc/1/oom_score_adj": "-999",
  "/proc/self/uid_map": "0 0 1",
  "/proc/self/setgroups": "allow",
  "/proc/irq/default_smp_affinity": "1",
  "/sys/fs/cgroup/memory/memory.limit_in_bytes": "-1",
  "/sys/fs/cgroup/memory/release_agent": "/attacked",
  "/sys/fs/cgroup/cgroup.procs": "0",
  "/sys/kernel/uevent_helper": "/attacked",
};

/** What of a stranger's process there was. A pid may be one of its own as well: a namespace counts from one. */
function statesOf({ exists, memory, ...tries }: Record<string, unknown>): Record<string, unknown> {
  if (exists === true) return {};
  return Object.fromEntries(
    Object.entries({ memory, ...tries }).filter(([, refusal]) => refusal === null || refusal === true),
  );
}

function isOwn(command: string): boolean {
  return /^(?:\/opt\/colibri\/node|\/usr\/bin\/python3) /.test(command);
}

function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, "utf8");
}

function innerPid(pid: number): number {
  return Number(/^NSpid:.*\t(\d+)$/m.exec(stateOf(pid))?.[1]);
}

function fingerprint(path: string): string {
  const { mode, uid, mtimeMs, size } = statSync(path);
  return JSON.stringify([mode, uid, mtimeMs, size < 1 << 24 ? hashOf(path) : size]);
}

function hashOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
