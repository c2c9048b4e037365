import { isDeepStrictEqual } from "node:util";

export type PlanListener<P> = (key: string, plan: P | undefined) => void;

/** The plans a driver holds. Listeners hear of a change after it is there, and only if something differs. */
export class PlanTable<P> {
  #plans = new Map<string, P>();
  readonly #listeners: PlanListener<P>[] = [];

  get(key: string): P | undefined {
    return this.#plans.get(key);
  }

  entries(): IterableIterator<[string, P]> {
    return this.#plans.entries();
  }

  onChange(listener: PlanListener<P>): void {
    this.#listeners.push(listener);
  }

  put(key: string, plan: P): void {
    if (isDeepStrictEqual(this.#plans.get(key), plan)) return;
    this.#plans.set(key, plan);
    this.#tell(key, plan);
  }

  remove(key: string): void {
    if (this.#plans.delete(key)) this.#tell(key, undefined);
  }

  /** All at once: whoever reads sees the old plans or the new ones. */
  replace(plans: Map<string, P>): void {
    const old = this.#plans;
    this.#plans = plans;
    for (const key of old.keys()) if (!plans.has(key)) this.#tell(key, undefined);
    for (const [key, plan] of plans) if (!isDeepStrictEqual(old.get(key), plan)) this.#tell(key, plan);
  }

  #tell(key: string, plan: P | undefined): void {
    for (const listener of this.#listeners) listener(key, plan);
  }
}
