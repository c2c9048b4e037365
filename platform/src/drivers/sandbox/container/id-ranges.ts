import { assert } from "#base/assert.ts";
import { IDS_PER_SANDBOX } from "./oci-config.ts";

/** Above what systems give to people, services and other containers. */
const FIRST_ID = 1_000_000_000;
const RANGES = Math.floor((2 ** 32 - 1 - FIRST_ID) / IDS_PER_SANDBOX);

/** User and group ids on the host, a range for each sandbox that runs. */
export class IdRanges {
  readonly #taken = new Set<number>();
  #next = 0;

  static firstId(range: number): number {
    return FIRST_ID + range * IDS_PER_SANDBOX;
  }

  /** The longest unused come last, so that ids are not soon used again. */
  take(): number {
    assert(this.#taken.size < RANGES, "there are more sandboxes than ranges of ids");
    while (this.#taken.has(this.#next)) this.#next = (this.#next + 1) % RANGES;
    const range = this.#next;
    this.#taken.add(range);
    this.#next = (range + 1) % RANGES;
    return range;
  }

  /** Of a sandbox that another process started. */
  takeAgain(range: number): void {
    this.#taken.add(range);
  }

  giveBack(range: number): void {
    this.#taken.delete(range);
  }
}
