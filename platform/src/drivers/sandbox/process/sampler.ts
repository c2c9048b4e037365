import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import type { Clock, Timer } from "#base/clock.ts";
import { groupMembers, readStats } from "#base/process-group.ts";

/** One process group that is watched. */
export interface Watched {
  /** Of the group and its leader. */
  readonly pid: number;
  readonly limitMiB: number;
  /** It uses more than its limit. Told until it is unwatched. */
  exceeded(usedMiB: number): void;
  /** The leader is gone. Told until it is unwatched. */
  ended(): void;
}

export interface SamplerOptions {
  readonly everyMs: number;
}

/** Who belongs to which group is looked up every so many samples: it costs a look at every process of the machine. */
const MEMBERS_EVERY = 4;
const BYTES_PER_MIB = 1024 * 1024;

/**
 * Watches the memory of all groups with one timer, so that hundreds of sandboxes cost little: per sample one read of an open
 * /proc file for each leader. Resident memory counts shared pages for everybody who has them; so who seems to be over the
 * limit is measured again by its proportional share (Pss), and only that counts.
 */
export class MemorySampler {
  readonly #clock: Clock;
  readonly #options: SamplerOptions;
  readonly #groups = new Map<Watched, number>();
  readonly #pageBytes = pageBytes();
  readonly #buffer = Buffer.alloc(128);
  #members = new Map<number, number[]>();
  #timer: Timer | undefined;
  #samples = 0;

  constructor(deps: { clock: Clock }, options: SamplerOptions) {
    this.#clock = deps.clock;
    this.#options = options;
  }

  watch(watched: Watched): void {
    const file = openStatm(watched.pid);
    this.#groups.set(watched, file);
    this.#timer ??= this.#clock.after(this.#options.everyMs, () => this.#sample());
  }

  unwatch(watched: Watched): void {
    const file = this.#groups.get(watched);
    if (file === undefined) return;
    if (file >= 0) closeSync(file);
    this.#groups.delete(watched);
    if (this.#groups.size > 0 || this.#timer === undefined) return;
    this.#clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  close(): void {
    for (const watched of [...this.#groups.keys()]) this.unwatch(watched);
  }

  #sample(): void {
    this.#timer = this.#clock.after(this.#options.everyMs, () => this.#sample());
    if (this.#samples++ % MEMBERS_EVERY === 0)
      this.#members = membersByGroup(new Set([...this.#groups.keys()].map((watched) => watched.pid)));
    for (const [watched, file] of [...this.#groups]) {
      const leader = this.#residentBytes(file);
      if (leader === undefined) {
        watched.ended();
        continue;
      }
      const others = (this.#members.get(watched.pid) ?? []).map((pid) => readResidentPages(pid) * this.#pageBytes);
      const resident = others.reduce((sum, bytes) => sum + bytes, leader);
      if (resident <= watched.limitMiB * BYTES_PER_MIB) continue;
      const usedMiB = proportionalMiB(groupMembers(watched.pid));
      if (usedMiB > watched.limitMiB) watched.exceeded(usedMiB);
    }
  }

  /** Undefined when the process is gone, or only a zombie: that has no memory. */
  #residentBytes(file: number): number | undefined {
    try {
      const length = readSync(file, this.#buffer, 0, this.#buffer.length, 0);
      const pages = residentPages(this.#buffer.toString("latin1", 0, length));
      return pages === 0 ? undefined : pages * this.#pageBytes;
    } catch {
      return undefined;
    }
  }
}

/** Memory of these processes, each shared page in equal parts with all who have it. */
export function proportionalMiB(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readProportionalKiB(pid), 0) / 1024;
}

function readProportionalKiB(pid: number): number {
  try {
    return Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

function residentPages(statm: string): number {
  return Number(statm.split(" ")[1] ?? 0);
}

function readResidentPages(pid: number): number {
  try {
    return residentPages(readFileSync(`/proc/${pid}/statm`, "latin1"));
  } catch {
    return 0;
  }
}

/** -1, which can't be read, when the process is gone already. */
function openStatm(pid: number): number {
  try {
    return openSync(`/proc/${pid}/statm`, "r");
  } catch {
    return -1;
  }
}

function membersByGroup(leaders: ReadonlySet<number>): Map<number, number[]> {
  const members = new Map<number, number[]>();
  for (const { pid, group } of readStats()) {
    if (leaders.has(pid) || !leaders.has(group)) continue;
    members.set(group, [...(members.get(group) ?? []), pid]);
  }
  return members;
}

function pageBytes(): number {
  return Number(/^KernelPageSize:\s+(\d+) kB/m.exec(readFileSync("/proc/self/smaps", "latin1"))?.[1] ?? 4) * 1024;
}
