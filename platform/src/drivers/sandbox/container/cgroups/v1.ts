/** cgroup v1, after Documentation/admin-guide/cgroup-v1 of the kernel. */
import type { CgroupLimits } from "./cgroups.ts";
import { groupsOf, readControl, readField, writeControl } from "./control-files.ts";
import { CPU_PERIOD_US, type Flavour, type Folders, quotaUs, toBytes } from "./flavour.ts";

/** cpu.shares of a group with the weight 100. */
const NORMAL_SHARES = 1024;
const NO_CEILING = -1;
const SOCKET_MEMORY = "memory.kmem.tcp.limit_in_bytes";
const SOCKET_SHARE = 4;

export const V1: Flavour = {
  setWeight,
  allowNested({ memory }) {
    // Before Linux 5.11 a group may count its own memory only, not that of groups within it.
    if (readControl(memory, "memory.use_hierarchy") === "0") writeControl(memory, "memory.use_hierarchy", "1");
  },
  setLimits(folders, limits) {
    setMemory(folders.memory, toBytes(limits.memoryMiB));
    setSocketMemory(folders.memory, toBytes(limits.memoryMiB));
    writeControl(folders.pids, "pids.max", String(limits.pids));
    setCpu(folders, limits);
  },
  freezer: {
    file: "freezer.state",
    freeze: "FROZEN",
    thaw: "THAWED",
    isFrozen(folder) {
      const state = readControl(folder, "freezer.state");
      return state === "FROZEN" ? true : state === "THAWED" ? false : undefined;
    },
  },
  usedBytes(memory) {
    const used = readControl(memory, "memory.usage_in_bytes");
    const stat = readControl(memory, "memory.stat");
    if (used === undefined || stat === undefined) return undefined;
    return Math.max(0, Number(used) - (readField(stat, "total_inactive_file") ?? 0));
  },
  oomKills(memory) {
    // Each group counts its own only.
    return [...groupsOf(memory)].reduce((sum, folder) => sum + ownOomKills(folder), 0);
  },
  oomFile: "memory.oom_control",
  killFile: undefined,
};

/** Memory with swap may never be less than memory alone, so the one that makes room for the other comes first. */
function setMemory(folder: string, bytes: number): void {
  const withSwap = readControl(folder, "memory.memsw.limit_in_bytes");
  const files =
    withSwap === undefined
      ? ["memory.limit_in_bytes"]
      : bytes > Number(withSwap)
        ? ["memory.memsw.limit_in_bytes", "memory.limit_in_bytes"]
        : ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"];
  for (const file of files) writeControl(folder, file, String(bytes));
}

/** TCP and UDP, whose buffers are counted apart, and only when there is a limit. A kernel may lack it. */
function setSocketMemory(folder: string, memoryBytes: number): void {
  if (readControl(folder, SOCKET_MEMORY) === undefined) return;
  writeControl(folder, SOCKET_MEMORY, String(Math.ceil(memoryBytes / SOCKET_SHARE)));
}

function setWeight({ cpu }: Folders, weight: number): void {
  writeControl(cpu, "cpu.shares", String(Math.round((NORMAL_SHARES * weight) / 100)));
}

function setCpu(folders: Folders, { cpuWeight, cpus }: CgroupLimits): void {
  const { cpu } = folders;
  setWeight(folders, cpuWeight);
  // A kernel without CFS bandwidth control has no such files: right as long as no ceiling is asked for.
  if (cpus === undefined && readControl(cpu, "cpu.cfs_quota_us") === undefined) return;
  writeControl(cpu, "cpu.cfs_period_us", String(CPU_PERIOD_US));
  writeControl(cpu, "cpu.cfs_quota_us", String(cpus === undefined ? NO_CEILING : quotaUs(cpus)));
}

function ownOomKills(memory: string): number {
  // Since Linux 4.13.
  return readField(readControl(memory, "memory.oom_control") ?? "", "oom_kill") ?? 0;
}
