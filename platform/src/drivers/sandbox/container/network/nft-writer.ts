/**
 * The only way in which the table is changed. Changes asked for while one runs go together in the next: a process of nft costs
 * milliseconds, a line of its input microseconds.
 */
import { run } from "./commands.ts";

interface Pending {
  readonly script: string;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Mending {
  readonly resolve: (restored: boolean) => void;
  readonly reject: (error: unknown) => void;
}

export class NftWriter {
  readonly #nft: string;
  readonly #restore: () => Promise<boolean>;
  #pending: Pending[] = [];
  readonly #mending: Mending[] = [];
  #running = false;

  /** @param restore puts the table back, and is false when it was there: called between two writes. */
  constructor(nft: string, restore: () => Promise<boolean>) {
    this.#nft = nft;
    this.#restore = restore;
  }

  /** Wholly in force when it resolves, and not at all when it rejects. */
  write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.push({ script: `${lines.join("\n")}\n`, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  /** Has the table put back, as soon as no write is under way. False when it was there. */
  mend(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#mending.push({ resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // All that this turn of the event loop still asks for.
    await Promise.resolve();
    while (this.#pending.length > 0 || this.#mending.length > 0) {
      for (const { resolve, reject } of this.#mending.splice(0)) await this.#restore().then(resolve, reject);
      const batch = this.#pending;
      this.#pending = [];
      if (!(await this.#runTogether(batch))) for (const one of batch) await this.#runAlone(one);
    }
    this.#running = false;
  }

  /** False when one of several was wrong: then none is in force. */
  async #runTogether(batch: readonly Pending[]): Promise<boolean> {
    if (batch.length === 1) return false;
    try {
      await run(this.#nft, ["-f", "-"], batch.map(({ script }) => script).join(""));
    } catch {
      return false;
    }
    for (const { resolve } of batch) resolve();
    return true;
  }

  /** Again, if it failed for want of the table. */
  async #runAlone({ script, resolve, reject }: Pending): Promise<void> {
    const attempt = () => run(this.#nft, ["-f", "-"], script);
    const again = async (error: unknown) => {
      if (!(await this.#restore())) throw error;
      return attempt();
    };
    await attempt()
      .catch(again)
      .then(() => resolve(), reject);
  }
}
