import { createBackoff } from "#base/backoff.ts";
import { sleep } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { Semaphore } from "#base/semaphore.ts";
import { type ExecutionDeps, execute } from "./execution.ts";

export interface RunnerDeps extends ExecutionDeps {
  readonly random: Random;
  readonly log: Log;
}

export interface RunnerOptions {
  /** Deployments executed at once, each of another app. */
  readonly parallel: number;
}

const RETRY = { firstMs: 200, maximumMs: 10_000 };

/**
 * Executes deployments: those of one app in their order, one at a time; those of different apps side by side, bounded.
 * Owns the order and what is under way; the deployments are the store's, so a runner that ends forgets nothing.
 */
export class Runner {
  readonly #deps: RunnerDeps;
  readonly #slots: Semaphore;
  readonly #stopping = new AbortController();
  /** The end of the last deployment of each app that has any. */
  readonly #tails = new Map<string, Promise<void>>();
  #waiting = 0;

  constructor(deps: RunnerDeps, options: RunnerOptions) {
    this.#deps = deps;
    this.#slots = new Semaphore(options.parallel);
  }

  /** Takes up what was not finished when the store was last used. */
  async open(): Promise<void> {
    const { store } = this.#deps;
    for (const tenant of await store.tenants())
      for (const { app, id } of await store.unfinishedDeployments(tenant)) this.submit(tenant, app, id);
  }

  /** Stops; what is under way stays in the store as it stands. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#tails.values());
  }

  /** Deployments that have not ended. */
  get waiting(): number {
    return this.#waiting;
  }

  submit(tenant: string, app: string, id: string): void {
    const key = `${tenant}/${app}`;
    this.#waiting++;
    const tail = (this.#tails.get(key) ?? Promise.resolve()).then(() => this.#run(tenant, id));
    this.#tails.set(key, tail);
    void tail.then(() => {
      this.#waiting--;
      if (this.#tails.get(key) === tail) this.#tails.delete(key);
    });
  }

  /** Never rejects. */
  async #run(tenant: string, id: string): Promise<void> {
    await this.#slots.acquire();
    try {
      await this.#untilEnded(tenant, id);
    } finally {
      this.#slots.release();
    }
  }

  async #untilEnded(tenant: string, id: string): Promise<void> {
    const { clock, random, log } = this.#deps;
    const { signal } = this.#stopping;
    const backoff = createBackoff(random, RETRY);
    let interrupted: unknown;
    while (!signal.aborted) {
      try {
        await execute(this.#deps, { tenant, id, interrupted }, signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        interrupted = error;
        log.warn("deployment interrupted, to be tried again", { tenant, deployment: id, error });
        await sleep(clock, backoff.next(), signal);
      }
    }
  }
}
