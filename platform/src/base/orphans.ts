import { constants } from "node:os";
import { readStat } from "./process-group.ts";
import { loadSystemCalls, type ReapedExit, type SystemCalls } from "./system-calls.ts";

/** How a process ended: one of the two. */
export interface OrphanExit {
  readonly code: number | null;
  /** Such as SIGKILL. */
  readonly signal: string | null;
}

const BURIED = 64;

/**
 * The ends of processes that others started and left behind: as their reaper this process becomes their parent, and is told how
 * they ended.
 *
 * Owns: the zombies of the pids it watches, and of strangers. Not those of what Node spawned, which Node reaps itself: in this
 * process all of these lead groups, and so nobody who leads one is taken for a stranger.
 */
export class Orphans {
  readonly #calls: SystemCalls;
  readonly #watched = new Map<number, (exit: OrphanExit | undefined) => void>();
  /** The last of them: somebody may yet ask for one who ended at once. */
  readonly #buried = new Map<number, OrphanExit>();

  private constructor(calls: SystemCalls) {
    this.#calls = calls;
    process.on("SIGCHLD", () => this.#look());
  }

  /** From now on orphans among our descendants are ours. @throws Error where the system calls are not to be had. */
  static async adopt(): Promise<Orphans> {
    const calls = await loadSystemCalls();
    calls.becomeSubreaper();
    return new Orphans(calls);
  }

  /** Once it has become an orphan. Undefined when it is not ours to be told of. */
  ended(pid: number): Promise<OrphanExit | undefined> {
    return new Promise((resolve) => {
      this.#watched.set(pid, resolve);
      this.#lookAt(pid, resolve);
    });
  }

  /**
   * Ends of those who were left behind and whom nobody asks for, such as what an OCI runtime started for itself: as zombies they
   * would be there as long as this process. One behind somebody of Node's is found the next time.
   */
  bury(): void {
    for (let pid = this.#calls.ended(); pid !== undefined; pid = this.#calls.ended()) {
      const resolve = this.#watched.get(pid);
      if (resolve !== undefined) this.#lookAt(pid, resolve);
      else if (readStat(pid)?.group === pid || !this.#buryOne(pid)) return;
    }
  }

  #buryOne(pid: number): boolean {
    const exit = this.#calls.reap(pid);
    if (exit === undefined || exit === "lost") return false;
    this.#buried.delete(pid);
    this.#buried.set(pid, exitOf(exit));
    const [oldest] = this.#buried.keys();
    if (this.#buried.size > BURIED) this.#buried.delete(oldest!);
    return true;
  }

  #look(): void {
    for (const [pid, resolve] of this.#watched) this.#lookAt(pid, resolve);
    this.bury();
  }

  #lookAt(pid: number, resolve: (exit: OrphanExit | undefined) => void): void {
    const exit = this.#calls.reap(pid);
    if (exit === undefined) return;
    this.#watched.delete(pid);
    resolve(exit === "lost" ? this.#buried.get(pid) : exitOf(exit));
  }
}

function exitOf({ code, signal }: ReapedExit): OrphanExit {
  return { code, signal: nameOf(signal) };
}

function nameOf(signal: number | null): string | null {
  if (signal === null) return null;
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
}
