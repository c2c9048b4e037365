/**
 * Control groups: what a sandbox may use, stopping it, and ending it whole, on cgroup v1, v2 and hybrid machines.
 *
 * Owns: the folders below the parent it was opened with, in every hierarchy. Does not own: who is in them, nor when they go.
 * Invariants: 1. nothing is kept in memory, so that a later agent finds (`find`, `list`) whatever an earlier one made; 2. a
 * group is there in all hierarchies or, when `create` failed, in none; 3. every wait is bounded.
 *
 * Hybrid machines are used through their v1 controllers. Exercised by the tests on such a machine: v1 wholly; of v2, on a real
 * cgroup2 tree, creating, joining, freezing, killing (with and without cgroup.kill), removing, and the kernel's refusal to
 * enable controllers. Not exercised there, only written from Documentation/admin-guide/cgroup-v2.rst and tested on plain files:
 * that the kernel enables v2's controllers, and holds what memory.*, pids.* and cpu.* say. On a v2 machine the same tests do so.
 */

import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import { type CgroupVersion, type InspectOptions, inspectCgroups } from "./inspect.ts";
import { openTree } from "./tree.ts";
import { V1 } from "./v1.ts";
import { V2 } from "./v2.ts";

export interface CgroupLimits {
  /** Swap is none beside it. What the kernel keeps for the group counts, as does its file cache; the latter makes room. */
  readonly memoryMiB: number;
  /** Processes and threads. */
  readonly pids: number;
  /** Share of the processor beside neighbours, 1 to 10000; 100 is normal. */
  readonly cpuWeight: number;
  /** Cores, such as 0.5. Undefined: no ceiling. */
  readonly cpus: number | undefined;
}

export interface Cgroup {
  readonly id: string;
  /** A process that writes `0` to each of these is in the group from then on, with all that it starts. */
  readonly joinFiles: readonly string[];
  /** Says `oom_kill <count>` of processes killed alone for want of memory; undefined where all go at once. */
  readonly oomFile: string | undefined;
  /** From the root of each hierarchy, such as `/colibri/3f2a/s1`: what OCI calls `linux.cgroupsPath`. */
  readonly path: string;
  /** Also while it runs. Less memory than is used: v1 refuses (@throws PlatformError unavailable), v2 kills for want of memory. */
  setLimits(limits: CgroupLimits): Promise<void>;
  /** Resolves when nothing in it runs any more. @throws PlatformError unavailable when it can't be stopped; it runs on then. */
  freeze(): Promise<void>;
  /** @throws PlatformError unavailable */
  thaw(): Promise<void>;
  /** In use now, without file cache that the kernel can drop, as `docker stats` tells it. Undefined when the group is gone. */
  memoryMiB(): Promise<number | undefined>;
  /** Processes of it that were killed for want of memory. 0 when the group is gone. */
  oomKills(): Promise<number>;
  /** Pids, those of nested groups too. None when the group is gone. */
  processes(): Promise<number[]>;
  /** Ends every process, frozen ones too; resolves when none is left. @throws PlatformError unavailable when some stay. */
  kill(): Promise<void>;
  /** Removes the empty group, with nested ones, from every hierarchy. False when something stayed, as when a process is in it. */
  remove(): Promise<boolean>;
}

export interface Cgroups {
  readonly version: CgroupVersion;
  /** @throws PlatformError conflict when there is such a group, unavailable when the kernel refuses. Nothing is left behind then. */
  create(id: string, limits: CgroupLimits): Promise<Cgroup>;
  /** One that an earlier agent made, or that is gone. */
  find(id: string): Cgroup;
  /** Those that exist, if only in one hierarchy. */
  list(): Promise<string[]>;
  /** Removes the parent, and what is above it, if empty. */
  close(): Promise<void>;
}

export interface CgroupsOptions extends InspectOptions {
  /** Where all groups are made, from the root of each hierarchy, such as `colibri/3f2a`. */
  readonly parent: string;
}

/** Makes the parent, and has its groups be limited. @throws PlatformError unavailable, saying what lacks and the remedy. */
export async function openCgroups(deps: { clock: Clock; log: Log }, options: CgroupsOptions): Promise<Cgroups> {
  const found = inspectCgroups(options);
  if (found.kind === "unusable") throw new PlatformError("unavailable", `${found.reason}: ${found.remedy}`);
  const { version, layout } = found;
  return openTree(deps, { version, layout, parent: options.parent, flavour: version === "v2" ? V2 : V1 });
}
