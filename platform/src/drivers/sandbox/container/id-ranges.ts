import { assert } from "#base/assert.ts";
import { IDS_PER_SANDBOX } from "./oci-config.ts";

/** Above what systems give to people, services and other containers. */
const FIRST_ID = 1_000_000_000;
const SLOTS = Math.floor((2 ** 32 - 1 - FIRST_ID) / IDS_PER_SANDBOX);

/** User and group ids on the host, a range for each sandbox that runs. */
export class IdRanges {
  readonly #taken = new Set<number>();
  #next = 0;

  static firstId(slot: number): number {
    return FIRST_ID + slot * IDS_PER_SANDBOX;
  }

  /** The longest unused come last, so that ids are not soon used again. */
  take(): number {
    assert(this.#taken.size < SLOTS, "there are more sandboxes than ranges of ids");
    while (this.#taken.has(this.#next)) this.#next = (this.#next + 1) % SLOTS;
    const slot = this.#next;
    this.#taken.add(slot);
    this.#next = (slot + 1) % SLOTS;
    return slot;
  }

  /** Of a sandbox that another process started. */
  takeAgain(slot: number): void {
    this.#taken.add(slot);
  }

  giveBack(slot: number): void {
    this.#taken.delete(slot);
  }
}
