import { isDeepStrictEqual } from "node:util";
import { assert } from "#base/assert.ts";

export type PlanListener<P> = (key: string, plan: P | undefined) => void;

/** The plans a driver holds. The listener hears of a change after it is there, and only if something differs. */
export class PlanTable<P> {
  #plans = new Map<string, P>();
  #listener: PlanListener<P> | undefined;

  get(key: string): P | undefined {
    return this.#plans.get(key);
  }

  entries(): IterableIterator<[string, P]> {
    return this.#plans.entries();
  }

  onChange(listener: PlanListener<P>): void {
    assert(this.#listener === undefined, "plans have one listener");
    this.#listener = listener;
  }

  put(key: string, plan: P): void {
    if (isDeepStrictEqual(this.#plans.get(key), plan)) return;
    this.#plans.set(key, plan);
    this.#listener?.(key, plan);
  }

  remove(key: string): void {
    if (this.#plans.delete(key)) this.#listener?.(key, undefined);
  }

  /** All at once: whoever reads sees the old plans or the new ones. */
  replace(plans: Map<string, P>): void {
    const old = this.#plans;
    this.#plans = plans;
    for (const key of old.keys()) if (!plans.has(key)) this.#listener?.(key, undefined);
    for (const [key, plan] of plans) if (!isDeepStrictEqual(old.get(key), plan)) this.#listener?.(key, plan);
  }
}
