import { readdirSync, readFileSync } from "node:fs";
import { type Clock, sleep } from "./clock.ts";
import type { Log } from "./log.ts";
import {
  isAlive,
  isGone,
  isHidden,
  isRunning,
  type ProcessName,
  readStat,
  readStats,
  signalGroup,
} from "./process-group.ts";

/** What is to run no more. */
export interface Doomed {
  /** For the log. */
  readonly id: string;
  /** Process groups. */
  readonly groups: readonly number[];
  /** Absolute. Whoever was started with HOME or TMPDIR in it belongs to it, whatever group or session it made itself. */
  readonly folder: string | undefined;
  /** Known by name, such as children that hid their environment. */
  readonly kin: readonly ProcessName[];
}

export interface ReaperOptions {
  /** For one to end after the kill. Only a process that the kernel holds takes long. Default 5 s. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 5_000;
const LOOK_AGAIN_MS = 5;
/** While the same ones stay. */
const LOOK_AGAIN_MAXIMUM_MS = 250;

/** By what is doomed; an error when /proc can't be read now, such as for want of a descriptor. */
type Found = ReadonlyMap<Doomed, ProcessName[]> | Error;

/**
 * Ends processes with all that they started, as far as that can be told.
 *
 * Owns: what is being ended, and what could not be. Does not own: what else becomes of those processes.
 * Invariants: 1. one look at /proc serves all who wait for one, because it costs some 10 µs a process of the machine; 2. `end`
 * resolves within the patience, and says whether anything is left; 3. what is left is tried again at every later look; 4. that
 * /proc can't be read does not mean that nothing is left.
 */
export class Reaper {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #patienceMs: number;
  readonly #left = new Set<Doomed>();
  #next: { readonly doomed: Doomed[]; readonly found: Promise<Found> } | undefined;

  constructor(deps: { readonly clock: Clock; readonly log: Log }, options: ReaperOptions = {}) {
    this.#deps = deps;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** Kills until nothing is seen any more. False when it gave up. */
  async end(wanted: Doomed): Promise<boolean> {
    const { clock } = this.#deps;
    const doomed = this.#takeOver(wanted);
    const untilMs = clock.monotonic() + this.#patienceMs;
    // Whole groups first, at once: somebody who forks all the time is never seen whole.
    for (const group of doomed.groups) signalGroup(group, "SIGKILL");
    let held: readonly ProcessName[] = [];
    for (let waitMs = LOOK_AGAIN_MS; ; ) {
      // The look itself comes a moment after it is asked for.
      const pauseMs = Math.min(waitMs, untilMs - clock.monotonic()) - LOOK_AGAIN_MS;
      if (pauseMs > 0) await sleep(clock, pauseMs);
      const all = await this.#look(doomed);
      const found = all instanceof Error ? held : (all.get(doomed) ?? []);
      if (!(all instanceof Error) && found.length === 0) return true;
      // Also when it is late: on a machine that is slow the first look may take all the time there is.
      kill(doomed, found);
      if (clock.monotonic() >= untilMs) {
        this.#letGo(doomed, found, all);
        return false;
      }
      // Whoever starts others all the time must not get time for it.
      const isNew = found.some(({ pid }) => !held.some((one) => one.pid === pid));
      waitMs = isNew ? LOOK_AGAIN_MS : Math.min(waitMs * 2, LOOK_AGAIN_MAXIMUM_MS);
      held = found;
    }
  }

  /** What is left of an earlier attempt: a process is found for one of the two alone. */
  #takeOver(doomed: Doomed): Doomed {
    const earlier = [...this.#left].filter(({ id }) => id === doomed.id);
    for (const left of earlier) this.#left.delete(left);
    return { ...doomed, kin: [...doomed.kin, ...earlier.flatMap(({ kin }) => kin)] };
  }

  #letGo(doomed: Doomed, found: readonly ProcessName[], all: Found): void {
    const { id } = doomed;
    // By name from now on: the number of a group may long belong to others when it is tried again.
    this.#left.add({ ...doomed, groups: [], kin: found.length === 0 ? doomed.kin : found });
    if (all instanceof Error) {
      const message = "it can't be told whether processes still run, and they are let go: later sweeps try again";
      return this.#deps.log.error(message, { id, error: all, afterMs: this.#patienceMs });
    }
    const processes = found.map(({ pid }) => `${pid} (state ${stateOf(pid)})`);
    const message = "processes can't be killed and are let go: the kernel holds them, later sweeps try again";
    this.#deps.log.error(message, { id, processes, afterMs: this.#patienceMs });
  }

  /** What of it runs, a moment from now. */
  #look(doomed: Doomed): Promise<Found> {
    this.#next ??= { doomed: [], found: this.#lookLater() };
    this.#next.doomed.push(doomed);
    return this.#next.found;
  }

  async #lookLater(): Promise<Found> {
    await sleep(this.#deps.clock, LOOK_AGAIN_MS);
    const { doomed } = this.#next!;
    this.#next = undefined;
    const found = tryFindAll([...doomed, ...this.#left]);
    if (found instanceof Error) return found;
    for (const left of this.#left) this.#retry(left, found.get(left) ?? []);
    return found;
  }

  #retry(left: Doomed, found: readonly ProcessName[]): void {
    if (found.length > 0) return kill(left, found);
    this.#left.delete(left);
    this.#deps.log.info("processes that could not be killed are gone", { id: left.id });
  }
}

function kill(doomed: Doomed, found: readonly ProcessName[]): void {
  for (const group of doomed.groups) signalGroup(group, "SIGKILL");
  for (const { pid, startTime } of found) {
    try {
      if (isRunning(pid, startTime)) process.kill(pid, "SIGKILL");
    } catch {
      // It ended meanwhile.
    }
  }
}

function stateOf(pid: number): string {
  try {
    return readStat(pid)?.state ?? "unknown";
  } catch {
    return "unknown";
  }
}

function tryFindAll(all: readonly Doomed[]): Found {
  try {
    return findAll(all);
  } catch (error) {
    return error as Error;
  }
}

function findAll(all: readonly Doomed[]): Map<Doomed, ProcessName[]> {
  const found = new Map<Doomed, ProcessName[]>(all.map((doomed) => [doomed, []]));
  const byGroup = new Map(all.flatMap((doomed) => doomed.groups.map((group) => [group, doomed])));
  const byFolder = new Map(all.flatMap((doomed) => (doomed.folder === undefined ? [] : [[doomed.folder, doomed]])));
  const byPid = new Map(all.flatMap((doomed) => doomed.kin.map((kin) => [kin.pid, { doomed, kin }])));
  for (const stat of readStats()) {
    const { pid } = stat;
    if (!isAlive(stat) || pid === process.pid) continue;
    const known = byPid.get(pid);
    const kinOf = known?.kin.startTime === stat.startTime ? known.doomed : undefined;
    const doomed = byGroup.get(stat.group) ?? kinOf ?? doomedByFolder(byFolder, pid);
    if (doomed !== undefined) found.get(doomed)!.push({ pid, startTime: stat.startTime });
  }
  return found;
}

function doomedByFolder(byFolder: ReadonlyMap<string, Doomed>, pid: number): Doomed | undefined {
  if (byFolder.size === 0) return undefined;
  for (const place of ownPlaces(pid)) {
    for (let folder = place; folder.length > 1; folder = folder.slice(0, folder.lastIndexOf("/"))) {
      const doomed = byFolder.get(folder);
      if (doomed !== undefined) return doomed;
    }
  }
  return undefined;
}

/** HOME and TMPDIR, as they were when the process was started. None when it is gone, or somebody else's. */
export function ownPlaces(pid: number): string[] {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8");
    return [...environment.matchAll(/(?:^|\0)(?:HOME|TMPDIR)=([^\0]*)/g)].map((match) => match[1]!);
  } catch (error) {
    if (isGone(error) || isHidden(error)) return [];
    throw error;
  }
}

/** Whom a process started and who is still below it. Those whose parent has ended are somebody else's children by now. */
export function descendantsOf(pid: number): ProcessName[] {
  const found: ProcessName[] = [];
  const pids = [pid];
  for (let next = pids.pop(); next !== undefined; next = pids.pop()) {
    for (const child of childrenOf(next)) {
      const startTime = startTimeOf(child);
      if (startTime === undefined) continue;
      found.push({ pid: child, startTime });
      pids.push(child);
    }
  }
  return found;
}

function startTimeOf(pid: number): string | undefined {
  try {
    return readStat(pid)?.startTime;
  } catch {
    // As in `childrenOf`: it does not tell.
    return undefined;
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1");
      return children.split(" ").filter(Boolean).map(Number);
    });
  } catch {
    // It is gone, or the system does not tell.
    return [];
  }
}
