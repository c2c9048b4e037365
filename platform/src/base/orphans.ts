import { constants } from "node:os";
import { loadSystemCalls, type ReapedExit, type SystemCalls } from "./system-calls.ts";

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
 * Owns: the zombies of the pids it watches and of the groups it clears, and no other: Node reaps what it spawned itself.
 * Invariant: a group is cleared only while somebody of ours is in it, since until then its number is not given away.
 */
export class Orphans {
  readonly #calls: SystemCalls;
  readonly #watched = new Map<number, (exit: OrphanExit | undefined) => void>();
  readonly #cleared = new Set<number>();

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

  /** Nobody else of the group of a command that has ended is to stay as a zombie. Watch first whose end is to be told. */
  clear(group: number): void {
    this.#cleared.add(group);
    this.#clear(group);
  }

  #look(): void {
    for (const [pid, resolve] of this.#watched) this.#lookAt(pid, resolve);
    for (const group of this.#cleared) this.#clear(group);
  }

  #clear(group: number): void {
    let one = this.#calls.reapOneOf(group);
    for (; one !== undefined && one !== "lost"; one = this.#calls.reapOneOf(group)) this.#tell(one.pid, one);
    if (one === "lost") this.#cleared.delete(group);
  }

  #lookAt(pid: number, resolve: (exit: OrphanExit | undefined) => void): void {
    const exit = this.#calls.reap(pid);
    if (exit === undefined) return;
    if (exit !== "lost") return this.#tell(pid, exit);
    this.#watched.delete(pid);
    resolve(undefined);
  }

  #tell(pid: number, { code, signal }: ReapedExit): void {
    const resolve = this.#watched.get(pid);
    this.#watched.delete(pid);
    resolve?.({ code, signal: nameOf(signal) });
  }
}

function nameOf(signal: number | null): string | null {
  if (signal === null) return null;
  return Object.entries(constants.signals).find(([, number]) => number === signal)?.[0] ?? `signal ${signal}`;
}
