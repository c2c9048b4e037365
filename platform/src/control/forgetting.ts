import type { Log } from "#base/log.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { PlanFeed } from "./plan-feed.ts";

export interface ForgettingDeps {
  readonly feed: PlanFeed;
  readonly log: Log;
  /** What is kept of a function besides its resources: its log, its records. */
  readonly remove: (ref: FunctionRef) => Promise<void>;
}

/**
 * Removes what is kept of functions that were deleted, however they were. A deletion that control does not live to hear of leaves
 * its log to the caps and its records to their age.
 */
export class Forgetting {
  readonly #deps: ForgettingDeps;
  #seen: number;
  #work: Promise<void> = Promise.resolve();

  /** The feed must be open. */
  constructor(deps: ForgettingDeps) {
    this.#deps = deps;
    this.#seen = deps.feed.number();
    deps.feed.onChange(() => {
      this.#work = this.#work
        .then(() => this.#forget())
        .catch((error) => deps.log.error("what was deleted could not be forgotten", { error }));
    });
  }

  /** Resolves when nothing is being removed. */
  async close(): Promise<void> {
    await this.#work;
  }

  async #forget(): Promise<void> {
    const changes = await this.#deps.feed.changesSince("routes", this.#seen);
    this.#seen = changes?.number ?? this.#deps.feed.number();
    for (const change of changes?.entries ?? []) {
      if (change.kind !== "remove") continue;
      const [tenant, app, name] = change.key.split("/");
      await this.#deps.remove({ tenant: tenant!, app: app!, function: name! });
    }
  }
}
