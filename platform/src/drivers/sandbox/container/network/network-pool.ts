/**
 * Networks made ahead, and made for those who wait.
 *
 * Owns: the networks in the pool, until they are taken. Does not own: networks that were taken.
 * Invariant: a network in the pool has the policy `internet`: it holds no code but ours.
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { SandboxNetwork } from "./sandbox-network.ts";

export interface NetworkPoolDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Nothing of them is left when it fails. */
  readonly make: (count: number) => Promise<readonly SandboxNetwork[]>;
}

interface Taker {
  readonly resolve: (network: SandboxNetwork) => void;
  readonly reject: (error: unknown) => void;
}

/** Networks made or removed by one process of `ip`. */
export const BATCH = 16;
const RETRY_MS = 1_000;

export class NetworkPool {
  readonly #deps: NetworkPoolDeps;
  readonly #size: number;
  readonly #ready: SandboxNetwork[] = [];
  readonly #takers: Taker[] = [];
  #filling: Promise<void> | undefined;
  #retry: Timer | undefined;
  #closing = false;

  constructor(deps: NetworkPoolDeps, size: number) {
    this.#deps = deps;
    this.#size = size;
  }

  /** From the pool at once, else as soon as one is made. */
  async take(): Promise<SandboxNetwork> {
    const network = this.#ready.shift() ?? (await this.#nextMade());
    this.fill();
    return network;
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

  /** What was in the pool, to be released: nobody gets a network any more. */
  async close(): Promise<readonly SandboxNetwork[]> {
    this.#closing = true;
    if (this.#retry !== undefined) this.#deps.clock.cancel(this.#retry);
    await this.#filling;
    for (const { reject } of this.#takers.splice(0)) reject(new Error("the networks of sandboxes are closing"));
    return this.#ready.splice(0);
  }

  #nextMade(): Promise<SandboxNetwork> {
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject });
      this.fill();
    });
  }

  async #makeWanted(): Promise<void> {
    for (let count = this.#wanted(); count > 0 && !this.#closing; count = this.#wanted()) {
      for (const network of await this.#deps.make(count)) {
        const taker = this.#takers.shift();
        if (taker === undefined) this.#ready.push(network);
        else taker.resolve(network);
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
