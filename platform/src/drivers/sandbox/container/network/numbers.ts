/**
 * The numbers of networks. One names a network's namespace, interface and address, and is in use until all of these are gone. They are
 * given in a circle, so that an address comes back as late as can be.
 */
import type { Random } from "#base/random.ts";
import { BLOCK_PREFIX } from "./host.ts";

/** Of the block: 0 is no address to give, 1 is the forwarder's. */
export const FORWARDER_NUMBER = 1;
const FIRST = 2;
const LAST = 2 ** (32 - BLOCK_PREFIX) - 2;

export class Numbers {
  readonly #used = new Set<number>();
  /** Used by what is no network of this agent's: an earlier agent left it, or it could not be removed. */
  readonly #found: Set<number>;
  #next: number;

  constructor(random: Random, found: ReadonlySet<number>) {
    this.#found = new Set(found);
    for (const number of found) this.#used.add(number);
    this.#next = FIRST + random.below(LAST - FIRST);
  }

  get found(): ReadonlySet<number> {
    return this.#found;
  }

  isUsed(number: number): boolean {
    return this.#used.has(number);
  }

  take(): number {
    for (let step = FIRST; step <= LAST; step++) {
      const number = this.#next;
      this.#next = number === LAST ? FIRST : number + 1;
      if (this.#used.has(number)) continue;
      this.#used.add(number);
      return number;
    }
    throw new Error(`all ${LAST} networks of this host are in use`);
  }

  /** A found one is a network of this agent's from now on. */
  adopt(number: number): void {
    this.#found.delete(number);
  }

  /** Whatever is left of it is for reaping. */
  abandon(number: number): void {
    this.#found.add(number);
  }

  free(number: number): void {
    this.#found.delete(number);
    this.#used.delete(number);
  }
}
