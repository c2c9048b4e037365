/**
 * Slots made ahead, and made for those who wait.
 *
 * Owns: the slots in the pool, until they are taken. Does not own: slots that were taken.
 * Invariant: a slot in the pool has the policy `internet`: it holds no code but ours.
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Slot } from "./slot.ts";

export interface SlotPoolDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing of them is left when it fails. */
  readonly make: (count: number) => Promise<readonly Slot[]>;
}

interface Taker {
  readonly resolve: (slot: Slot) => void;
  readonly reject: (error: unknown) => void;
}

/** Slots made or removed by one process of `ip`. */
export const BATCH = 16;
const RETRY_MS = 1_000;

export class SlotPool {
  readonly #deps: SlotPoolDeps;
  readonly #size: number;
  readonly #ready: Slot[] = [];
  readonly #takers: Taker[] = [];
  #filling: Promise<void> | undefined;
  #retry: Timer | undefined;
  #closing = false;

  constructor(deps: SlotPoolDeps, size: number) {
    this.#deps = deps;
    this.#size = size;
  }

  /** From the pool at once, else as soon as one is made. */
  async take(): Promise<Slot> {
    const slot = this.#ready.shift() ?? (await this.#nextMade());
    this.fill();
    return slot;
  }

  /** Keeps making until nobody waits and the pool is full. */
  fill(): void {
    if (this.#filling !== undefined || this.#closing || this.#wanted() === 0) return;
    this.#filling = this.#makeWanted()
      .catch((error: unknown) => this.#failTakers(error))
      .finally(() => {
        this.#filling = undefined;
      });
  }

  /** What was in the pool, to be released: nobody gets a slot any more. */
  async close(): Promise<readonly Slot[]> {
    this.#closing = true;
    if (this.#retry !== undefined) this.#deps.clock.cancel(this.#retry);
    await this.#filling;
    for (const { reject } of this.#takers.splice(0)) reject(new Error("the networks of sandboxes are closing"));
    return this.#ready.splice(0);
  }

  #nextMade(): Promise<Slot> {
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
      this.fill();
    });
  }

  async #makeWanted(): Promise<void> {
    for (let count = this.#wanted(); count > 0 && !this.#closing; count = this.#wanted()) {
      for (const slot of await this.#deps.make(count)) {
        const taker = this.#takers.shift();
        if (taker === undefined) this.#ready.push(slot);
        else taker.resolve(slot);
      }
    }
  }

  /** Whoever waits comes before the pool. */
  #wanted(): number {
    const count = this.#takers.length > 0 ? this.#takers.length : this.#size - this.#ready.length;
    return Math.max(0, Math.min(BATCH, count));
  }

  #failTakers(error: unknown): void {
    this.#deps.log.warn("no network was made for sandboxes", { error });
    for (const { reject } of this.#takers.splice(0)) reject(error);
    if (this.#closing) return;
    this.#retry = this.#deps.clock.after(RETRY_MS, () => this.fill());
  }
}
