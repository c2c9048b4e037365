import { functionKey, revisionKey } from "#contract/names.ts";
import type { PlanChange, PlanTopic } from "#contract/plan/plan.ts";
import { launchSpec, routePlan } from "#domain/function/plan.ts";
import type { PlanEntry, Store } from "#ports/store/index.ts";

/** The numbered stream of plans, as the plan server reads it. Numbers count over both topics, so those of one have gaps. */
export interface PlanFeed {
  /** Names what the numbers belong to: another store starts anew. */
  readonly store: string;
  /** Number of the newest change; 0 before the first. */
  number(): number;
  /** Everything there is now, all of it `put`. */
  snapshot(topic: PlanTopic): Promise<{ number: number; entries: PlanChange[] }>;
  /** What changed since, the newest state of each key once, oldest change first; undefined when that is too long ago. */
  changesSince(topic: PlanTopic, after: number): Promise<{ number: number; entries: PlanChange[] } | undefined>;
  /** After each change. Any number of listeners, for as long as the feed lives. */
  onChange(listener: () => void): void;
}

/** Counted up when `routePlan` or `launchSpec` compute something else from the same state, so that copies are read anew. */
const COMPUTATION = 2;

/**
 * Plans computed from what the store holds.
 * Owns the newest number known here and the listeners; the store owns state and numbers.
 * Invariant: a number is announced only once it can be read.
 */
export class StorePlanFeed implements PlanFeed {
  readonly #store: Store;
  readonly #listeners: (() => void)[] = [];
  #id = "";
  #number = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  /** When the store has been opened. */
  async open(): Promise<void> {
    const { id, number } = await this.#store.identity();
    this.#id = `${id}.${COMPUTATION}`;
    this.#number = number;
  }

  /** To be called after whatever may have changed a plan. */
  async refresh(): Promise<void> {
    const { number } = await this.#store.identity();
    if (number <= this.#number) return;
    this.#number = number;
    for (const listener of this.#listeners) listener();
  }

  get store(): string {
    return this.#id;
  }

  number(): number {
    return this.#number;
  }

  async snapshot(topic: PlanTopic): Promise<{ number: number; entries: PlanChange[] }> {
    const { number, entries } = await this.#store.plansNow(topic);
    return { number, entries: entries.map(changeOf) };
  }

  async changesSince(topic: PlanTopic, after: number): Promise<{ number: number; entries: PlanChange[] } | undefined> {
    const reading = await this.#store.plansSince(topic, after);
    return reading && { number: reading.number, entries: reading.entries.map(changeOf) };
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }
}

function changeOf(entry: PlanEntry): PlanChange {
  if (entry.topic === "launches") {
    const key = revisionKey(entry.key);
    if (entry.state === undefined) return { kind: "remove", key };
    return { kind: "put", key, plan: launchSpec(entry.state.revision, entry.state.network) };
  }
  const key = functionKey(entry.key);
  if (entry.state === undefined) return { kind: "remove", key };
  return { kind: "put", key, plan: routePlan(entry.state.function, entry.state.revisions) };
}
