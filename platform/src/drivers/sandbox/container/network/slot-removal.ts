/** Slots whose sandboxes are gone, removed many at a time. */
import type { Slot } from "./slot.ts";
import { BATCH } from "./slot-pool.ts";

interface Retired {
  readonly slot: Slot;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class SlotRemoval {
  readonly #remove: (slots: readonly Slot[]) => Promise<void>;
  readonly #retired: Retired[] = [];
  #removing: Promise<void> | undefined;

  constructor(remove: (slots: readonly Slot[]) => Promise<void>) {
    this.#remove = remove;
  }

  /** Nothing of it is left when it resolves. */
  release(slot: Slot): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#retired.push({ slot, resolve, reject });
      this.#removing ??= this.#removeRetired().finally(() => {
        this.#removing = undefined;
      });
    });
  }

  async idle(): Promise<void> {
    await this.#removing;
  }

  async #removeRetired(): Promise<void> {
    // All that this turn of the event loop still releases.
    await Promise.resolve();
    while (this.#retired.length > 0) {
      const batch = this.#retired.splice(0, BATCH);
      try {
        await this.#remove(batch.map(({ slot }) => slot));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }
}
