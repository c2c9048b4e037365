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

export class NftWriter {
  readonly #nft: string;
  #pending: Pending[] = [];
  #running = false;

  constructor(nft: string) {
    this.#nft = nft;
  }

  /** Wholly in force when it resolves, and not at all when it rejects. */
  write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#pending.push({ script: `${lines.join("\n")}\n`, resolve, reject });
      if (!this.#running) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#running = true;
    // All that this turn of the event loop still asks for.
    await Promise.resolve();
    while (this.#pending.length > 0) {
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

  async #runAlone({ script, resolve, reject }: Pending): Promise<void> {
    await run(this.#nft, ["-f", "-"], script).then(() => resolve(), reject);
  }
}
