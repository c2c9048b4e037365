import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { testAttacks } from "#ports/sandbox/testing/attacks/attacks.ts";
import type { AttackedMachine } from "#ports/sandbox/testing/attacks/stage.ts";
import { openCgroups } from "./cgroups/cgroups.ts";
import { inspectCgroups } from "./cgroups/inspect.ts";
import { network, nodeRuntime, openMachine } from "./machine.fixture.ts";
import { OCI_RUNTIMES, type OciRuntime } from "./oci-runtime.ts";
import { enterOwnMounts } from "./own-mounts.ts";
import { probeContainers } from "./probe.ts";

const searchPath = process.env.PATH ?? "";

async function make(runtime: OciRuntime, guest: string): Promise<AttackedMachine> {
  const machine = await openMachine(runtime);
  const parent = `colibri/${machine.key}`;
  const cgroups = await openCgroups({ clock: createSystemClock(), log: createSilentLog() }, { parent });
  return {
    driver: machine.createDriver(),
    network,
    runtime: nodeRuntime(guest),
    home: machine.home,
    spawnerPid: machine.spawnerPid,
    hasOwnKernel: !runtime.userNamespace,
    pidsOf: (id) => cgroups.find(id).processes(),
    peakMiB: (id) => peakMiB(cgroups.find(id).path),
    cpus: (id) => cpus(cgroups.find(id).path),
    leftovers: machine.leftovers,
    close: machine.close,
  };
}

const found = inspectCgroups();

/** 0 when the group is gone. */
function peakMiB(path: string): number {
  if (found.kind === "unusable") throw new Error(found.reason);
  const name = found.version === "v2" ? "memory.peak" : "memory.max_usage_in_bytes";
  try {
    return Number(readFileSync(join(found.layout.roots.memory, path, name), "utf8")) / 2 ** 20;
  } catch {
    return 0;
  }
}

function cpus(path: string): number {
  if (found.kind === "unusable") throw new Error(found.reason);
  const names = found.version === "v2" ? ["cpu.max"] : ["cpu.cfs_quota_us", "cpu.cfs_period_us"];
  const text = names.map((name) => readFileSync(join(found.layout.roots.cpu, path, name), "utf8")).join(" ");
  const [quota, period] = text.trim().split(/\s+/).map(Number);
  return quota! / period!;
}

if (process.getuid?.() === 0) await enterOwnMounts();
const guests = mkdtempSync(join(tmpdir(), "colibri-guests-"));
process.once("exit", () => rmSync(guests, { recursive: true, force: true }));
const guest = (await bundleGuests(guests)).nodejs;
for (const wanted of OCI_RUNTIMES) {
  const probe = await probeContainers({ wanted, searchPath });
  const name = `attacks, ${wanted}`;
  if (!probe.works) test(name, { skip: `${probe.reason}. ${probe.remedy}` }, () => {});
  else describe(name, () => testAttacks({ name, make: () => make(probe.runtime, guest) }));
}
