import { existsSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import type { Cgroup, CgroupLimits } from "./cgroups.ts";
import { codeOf, groupsOf, isGone, nestedGroups, readControl, writeControl } from "./control-files.ts";
import { BYTES_PER_MIB, type Flavour, type Folders } from "./flavour.ts";

/** Beside processes that fork while they are being stopped, v1 may miss one for good: then it is stopped anew. */
const FREEZE_ATTEMPTS = 10;
const FREEZE_ATTEMPT_MS = 100;
const THAW_WITHIN_MS = 1_000;
const KILL_WITHIN_MS = 10_000;
const REMOVE_WITHIN_MS = 1_000;
const LOOK_AGAIN_MS = 1;
const LOOK_AGAIN_MAXIMUM_MS = 20;

export interface GroupPlace {
  readonly id: string;
  readonly path: string;
  readonly flavour: Flavour;
  readonly folders: Folders;
  /** In every hierarchy, whether there or not. */
  readonly everywhere: readonly string[];
}

/** One group, whichever version. Keeps nothing: all state is the kernel's. */
export class ControlGroup implements Cgroup {
  readonly id: string;
  readonly path: string;
  readonly joinFiles: readonly string[];
  readonly oomFile: string | undefined;
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #place: GroupPlace;

  constructor(deps: { readonly clock: Clock; readonly log: Log }, place: GroupPlace) {
    this.id = place.id;
    this.path = place.path;
    this.joinFiles = distinctFolders(place.folders).map((folder) => join(folder, "cgroup.procs"));
    const { oomFile } = place.flavour;
    this.oomFile = oomFile && join(place.folders.memory, oomFile);
    this.#deps = deps;
    this.#place = place;
  }

  async setLimits(limits: CgroupLimits): Promise<void> {
    const { flavour, folders } = this.#place;
    flavour.setLimits(folders, limits);
  }

  async freeze(): Promise<void> {
    const { freezer } = this.#place.flavour;
    for (let attempt = 0; attempt < FREEZE_ATTEMPTS; attempt++) {
      this.#writeFreezer(freezer.freeze);
      if (await this.#isFrozenWithin(true, FREEZE_ATTEMPT_MS)) return;
      this.#writeFreezer(freezer.thaw);
    }
    throw new PlatformError("unavailable", `sandbox ${this.id} can't be frozen: the kernel holds a process of it`);
  }

  async thaw(): Promise<void> {
    this.#writeFreezer(this.#place.flavour.freezer.thaw);
    if (await this.#isFrozenWithin(false, THAW_WITHIN_MS)) return;
    throw new PlatformError("unavailable", `sandbox ${this.id} stays frozen: is a control group above it frozen?`);
  }

  async memoryMiB(): Promise<number | undefined> {
    const { flavour, folders } = this.#place;
    const bytes = flavour.usedBytes(folders.memory);
    return bytes === undefined ? undefined : bytes / BYTES_PER_MIB;
  }

  async oomKills(): Promise<number> {
    const { flavour, folders } = this.#place;
    return flavour.oomKills(folders.memory);
  }

  async processes(): Promise<number[]> {
    return [...this.#pids()];
  }

  async kill(): Promise<void> {
    const untilMs = this.#deps.clock.monotonic() + KILL_WITHIN_MS;
    while (this.#pids().size > 0) {
      if (!this.#killByFile()) await this.#killBySignal();
      if (await this.#waitFor(() => this.#pids().size === 0, FREEZE_ATTEMPT_MS)) return;
      if (this.#deps.clock.monotonic() < untilMs) continue;
      const pids = [...this.#pids()].join(", ");
      throw new PlatformError(
        "unavailable",
        `processes of sandbox ${this.id} can't be killed: the kernel holds ${pids}`,
      );
    }
  }

  async remove(): Promise<boolean> {
    let refusals: unknown[] = [];
    const isGone = () => {
      refusals = this.#place.everywhere.map(tryRemove).filter((refusal) => refusal !== undefined);
      return refusals.length === 0;
    };
    if (await this.#waitFor(isGone, REMOVE_WITHIN_MS)) return true;
    this.#deps.log.warn("control groups can't be removed", { id: this.id, errors: refusals });
    return false;
  }

  /** False where the kernel can't. */
  #killByFile(): boolean {
    const { folders, flavour } = this.#place;
    const { killFile } = flavour;
    if (killFile === undefined || !existsSync(join(folders.freezer, killFile))) return false;
    unlessGone(() => writeControl(folders.freezer, killFile, "1"));
    return true;
  }

  /** While they are frozen nobody forks, and no pid becomes another process's between reading and killing. */
  async #killBySignal(): Promise<void> {
    const { freezer } = this.#place.flavour;
    unlessGone(() => this.#writeFreezer(freezer.freeze));
    // What can't be frozen in time is killed all the same, and looked for again.
    await this.#isFrozenWithin(true, FREEZE_ATTEMPT_MS);
    for (const pid of this.#pids()) sendKill(pid);
    unlessGone(() => this.#writeFreezer(freezer.thaw));
  }

  #writeFreezer(value: string): void {
    const { flavour, folders } = this.#place;
    writeControl(folders.freezer, flavour.freezer.file, value);
  }

  #isFrozenWithin(wanted: boolean, withinMs: number): Promise<boolean> {
    const { flavour, folders } = this.#place;
    return this.#waitFor(() => flavour.freezer.isFrozen(folders.freezer) === wanted, withinMs);
  }

  /** Of every hierarchy: who joins is in one before the other. */
  #pids(): Set<number> {
    const pids = new Set<number>();
    // Zero stands for a process of another pid namespace; to signal it would be to signal ourselves.
    for (const root of distinctFolders(this.#place.folders))
      for (const folder of groupsOf(root))
        for (const line of (readControl(folder, "cgroup.procs") ?? "").split("\n"))
          if (Number(line) > 0) pids.add(Number(line));
    return pids;
  }

  /** False when it is not so within the time. */
  async #waitFor(isSo: () => boolean, withinMs: number): Promise<boolean> {
    const { clock } = this.#deps;
    const untilMs = clock.monotonic() + withinMs;
    for (let pauseMs = LOOK_AGAIN_MS; !isSo(); pauseMs = Math.min(pauseMs * 2, LOOK_AGAIN_MAXIMUM_MS)) {
      if (clock.monotonic() >= untilMs) return false;
      await sleep(clock, pauseMs);
    }
    return true;
  }
}

export function distinctFolders(folders: Folders): string[] {
  return [...new Set(Object.values(folders))];
}

/** Groups within go first. What hinders it, when it is not gone then. */
function tryRemove(folder: string): unknown {
  const refusal = tryRemoveOne(folder);
  if (refusal === undefined || codeOf(refusal) !== "EBUSY") return refusal;
  const nested = nestedGroups(folder);
  if (nested.length === 0) return refusal;
  for (const name of nested) tryRemove(join(folder, name));
  return tryRemoveOne(folder);
}

export function tryRemoveOne(folder: string): unknown {
  try {
    rmdirSync(folder);
    return undefined;
  } catch (error) {
    return isGone(error) ? undefined : error;
  }
}

function unlessGone(write: () => void): void {
  try {
    write();
  } catch (error) {
    if (!isGone((error as PlatformError).cause)) throw error;
  }
}

function sendKill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if (codeOf(error) !== "ESRCH") throw error;
  }
}
