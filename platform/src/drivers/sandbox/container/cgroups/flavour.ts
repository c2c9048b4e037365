import type { CgroupLimits } from "./cgroups.ts";
import type { Controller } from "./inspect.ts";

/** One group's folder in each controller's hierarchy. In v2, and where v1 mounts some together, they are the same. */
export type Folders = Readonly<Record<Controller, string>>;

/** What differs between cgroup v1 and v2. The rest is in group.ts and tree.ts. */
export interface Flavour {
  /** Prepares a group on the way from the root (or the root itself) for groups that are to be limited in it. @throws PlatformError */
  allowNested(folders: Folders): void;
  /** Of the processors, beside others; 100 is normal. @throws PlatformError */
  setWeight(folders: Folders, weight: number): void;
  /** @throws PlatformError unavailable */
  setLimits(folders: Folders, limits: CgroupLimits): void;
  readonly freezer: Freezer;
  /** In use, without inactive file cache. Undefined when the group is gone. */
  usedBytes(memory: string): number | undefined;
  oomKills(memory: string): number;
  /** Where the kernel may kill one process alone for want of memory: counts them, as `oom_kill`. Undefined where all go at once. */
  readonly oomFile: string | undefined;
  /** The file that ends all processes of a group when 1 is written to it, from Linux 5.14. */
  readonly killFile: string | undefined;
}

interface Freezer {
  readonly file: string;
  readonly freeze: string;
  readonly thaw: string;
  /** Undefined while neither is wholly so, or the group is gone. */
  isFrozen(folder: string): boolean | undefined;
}

/** How long the processor's ceiling is counted for; also the kernel's own default. */
export const CPU_PERIOD_US = 100_000;
/** The kernel refuses less. */
const LEAST_QUOTA_US = 1_000;

/** Processor time within each period. */
export function quotaUs(cpus: number): number {
  return Math.max(LEAST_QUOTA_US, Math.round(cpus * CPU_PERIOD_US));
}

export function toBytes(memoryMiB: number): number {
  return Math.round(memoryMiB * BYTES_PER_MIB);
}

export const BYTES_PER_MIB = 1024 * 1024;
