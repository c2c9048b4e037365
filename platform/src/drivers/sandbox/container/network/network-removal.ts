/** Networks whose sandboxes are gone, removed many at a time. */
import { BATCH } from "./network-pool.ts";
import type { SandboxNetwork } from "./sandbox-network.ts";

interface Retired {
  readonly network: SandboxNetwork;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class NetworkRemoval {
  readonly #remove: (networks: readonly SandboxNetwork[]) => Promise<void>;
  readonly #retired: Retired[] = [];
  #removing: Promise<void> | undefined;

  constructor(remove: (networks: readonly SandboxNetwork[]) => Promise<void>) {
    this.#remove = remove;
  }

  /** Nothing of it is left when it resolves. */
  release(network: SandboxNetwork): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#retired.push({ network, resolve, reject });
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
        await this.#remove(batch.map(({ network }) => network));
        for (const { resolve } of batch) resolve();
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }
}
