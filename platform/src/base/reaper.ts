import { readdirSync, readFileSync } from "node:fs";
import { type Clock, sleep } from "./clock.ts";
import type { Log } from "./log.ts";
import { isAlive, isRunning, type ProcessName, readStat, signalGroup } from "./process-group.ts";

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

/**
 * Ends processes with all that they started, as far as that can be told.
 *
 * Owns: what is being ended, and what could not be. Does not own: what else becomes of those processes.
 * Invariants: 1. one look at /proc serves all who wait for one, because it costs some 10 µs a process of the machine; 2. `end`
 * resolves within the patience, and says whether anything is left; 3. what is left is tried again at every later look.
 */
export class Reaper {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #patienceMs: number;
  readonly #left = new Set<Doomed>();
  #next: { readonly doomed: Doomed[]; readonly found: Promise<Map<Doomed, ProcessName[]>> } | undefined;

  constructor(deps: { readonly clock: Clock; readonly log: Log }, options: ReaperOptions = {}) {
    this.#deps = deps;
    this.#patienceMs = options.patienceMs ?? PATIENCE_MS;
  }

  /** Kills until nothing is seen any more. False when it gave up. */
  async end(doomed: Doomed): Promise<boolean> {
    const { clock, log } = this.#deps;
    const { id } = doomed;
    const untilMs = clock.monotonic() + this.#patienceMs;
    // Whole groups first, at once: somebody who forks all the time is never seen whole.
    for (const group of doomed.groups) signalGroup(group, "SIGKILL");
    for (;;) {
      const found = (await this.#look(doomed)).get(doomed) ?? [];
      if (found.length === 0) return true;
      if (clock.monotonic() >= untilMs) {
        const processes = found.map(({ pid }) => `${pid} (state ${readStat(pid)?.state ?? "unknown"})`);
        const message = "processes can't be killed and are let go: the kernel holds them, later sweeps try again";
        log.error(message, { id, processes, afterMs: this.#patienceMs });
        // By name from now on: the number of a group may long belong to others when it is tried again.
        this.#left.add({ ...doomed, groups: [], kin: found });
        return false;
      }
      kill(doomed, found);
    }
  }

  /** What of it runs, a moment from now. */
  #look(doomed: Doomed): Promise<Map<Doomed, ProcessName[]>> {
    this.#next ??= { doomed: [], found: this.#lookLater() };
    this.#next.doomed.push(doomed);
    return this.#next.found;
  }

  async #lookLater(): Promise<Map<Doomed, ProcessName[]>> {
    await sleep(this.#deps.clock, LOOK_AGAIN_MS);
    const { doomed } = this.#next!;
    this.#next = undefined;
    const found = findAll([...doomed, ...this.#left]);
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

function findAll(all: readonly Doomed[]): Map<Doomed, ProcessName[]> {
  const found = new Map<Doomed, ProcessName[]>(all.map((doomed) => [doomed, []]));
  const byGroup = new Map(all.flatMap((doomed) => doomed.groups.map((group) => [group, doomed])));
  const byFolder = new Map(all.flatMap((doomed) => (doomed.folder === undefined ? [] : [[doomed.folder, doomed]])));
  const byPid = new Map(all.flatMap((doomed) => doomed.kin.map((kin) => [kin.pid, { doomed, kin }])));
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? readStat(pid) : undefined;
    if (stat === undefined || !isAlive(stat) || pid === process.pid) continue;
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
  } catch {
    return [];
  }
}

/** Whom a process started and who is still below it. Those whose parent has ended are somebody else's children by now. */
export function descendantsOf(pid: number): ProcessName[] {
  const found: ProcessName[] = [];
  const pids = [pid];
  for (let next = pids.pop(); next !== undefined; next = pids.pop()) {
    for (const child of childrenOf(next)) {
      const stat = readStat(child);
      if (stat === undefined) continue;
      found.push({ pid: child, startTime: stat.startTime });
      pids.push(child);
    }
  }
  return found;
}

function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
      const children = readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1");
      return children.split(" ").filter(Boolean).map(Number);
    });
  } catch {
    // It is gone, or the kernel does not tell.
    return [];
  }
}
