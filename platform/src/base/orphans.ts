import { constants } from "node:os";
import { loadSystemCalls, type SystemCalls } from "./system-calls.ts";

/** How a process ended: one of the two. */
export interface OrphanExit {
  readonly code: number | null;
  /** Such as SIGKILL. */
  readonly signal: string | null;
}

/**
 * The ends of processes that others started and left behind: as their reaper this process becomes their parent, and is told how
 * they ended.
 *
 * Owns: the zombies of the pids it watches, and no other: Node reaps what it spawned itself.
 */
export class Orphans {
  readonly #calls: SystemCalls;
  readonly #watched = new Map<number, (exit: OrphanExit | undefined) => void>();

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

  #look(): void {
    for (const [pid, resolve] of this.#watched) this.#lookAt(pid, resolve);
  }

  #lookAt(pid: number, resolve: (exit: OrphanExit | undefined) => void): void {
    const exit = this.#calls.reap(pid);
    if (exit === undefined) return;
    this.#watched.delete(pid);
    resolve(exit === "lost" ? undefined : { code: exit.code, signal: nameOf(exit.signal) });
  }
}

function nameOf(signal: number | null): string | null {
  if (signal === null) return null;
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
}
