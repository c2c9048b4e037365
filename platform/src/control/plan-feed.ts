import type { PlanChange, PlanTopic } from "#contract/plan/plan.ts";

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
