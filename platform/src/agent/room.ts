import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#contract/errors.ts";

export interface RoomDeps {
  readonly clock: Clock;
  /** What all sandboxes are promised now, those being removed included. */
  readonly promisedMiB: () => number;
  /** Makes what nobody holds go, until so much memory is on its way back. False, and nothing goes, where that is not enough. */
  readonly giveWay: (memoryMiB: number) => boolean;
}

interface Waiting {
  readonly memoryMiB: number;
  /** Takes its memory, or fails; afterwards it waits no more. */
  readonly settle: (error?: PlatformError) => void;
  readonly timer: Timer;
}

/** For what gives way to be gone. A kill that does not work is ordered again after half of it. */
const PATIENCE_MS = 10_000;

/**
 * The memory that may be promised to sandboxes. Owns: who waits for some of it. Invariants: 1. what is begun has its memory
 * promised in the same turn, so that nobody else takes it; 2. who waits is let in in the order they came; 3. after
 * `close` nothing begins.
 */
export class Room {
  readonly capacityMiB: number;
  readonly #deps: RoomDeps;
  readonly #waiting: Waiting[] = [];
  #closed = false;

  constructor(deps: RoomDeps, capacityMiB: number) {
    this.#deps = deps;
    this.capacityMiB = capacityMiB;
  }

  get freeMiB(): number {
    return Math.max(0, this.capacityMiB - this.#deps.promisedMiB());
  }

  /** Somebody waits for what gives way. */
  get waitedFor(): boolean {
    return this.#waiting.length > 0;
  }

  /**
   * What `begin` answers, called when there is room.
   * @throws PlatformError `no-capacity` where there will not be, `unavailable` after `close`.
   */
  async enter<T>(memoryMiB: number, begin: () => T): Promise<T> {
    if (this.#closed) throw closing();
    const { freeMiB } = this;
    const wanted = this.#waiting.reduce((sum, waiting) => sum + waiting.memoryMiB, memoryMiB);
    if (wanted <= freeMiB) return begin();
    if (!this.#deps.giveWay(wanted - freeMiB)) throw this.#none(memoryMiB);
    return new Promise<T>((resolve, reject) => {
      const { clock } = this.#deps;
      const timer = clock.after(PATIENCE_MS, () => waiting.settle(this.#none(memoryMiB)));
      const waiting: Waiting = {
        memoryMiB,
        timer,
        settle: (error) => {
          clock.cancel(timer);
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          if (error === undefined) resolve(begin());
          else reject(error);
          this.left();
        },
      };
      this.#waiting.push(waiting);
    });
  }

  /** Some memory has come back. */
  left(): void {
    const [first] = this.#waiting;
    if (first !== undefined && first.memoryMiB <= this.freeMiB) first.settle();
  }

  close(): void {
    this.#closed = true;
    // All of them at once: who is settled lets the next one in.
    for (const waiting of this.#waiting.splice(0)) waiting.settle(closing());
  }

  #none(memoryMiB: number): PlatformError {
    if (memoryMiB > this.capacityMiB)
      return new PlatformError(
        "no-capacity",
        `no sandbox of ${memoryMiB} MiB can ever start here: this host has ${this.capacityMiB} MiB for all of them. Lower memory: in colibri.yaml and deploy again.`,
      );
    const free = `${this.freeMiB} of ${this.capacityMiB} MiB are free`;
    return new PlatformError("no-capacity", `no room for a sandbox of ${memoryMiB} MiB: ${free}`);
  }
}

function closing(): PlatformError {
  return new PlatformError("unavailable", "the agent is closing");
}
