import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";

/**
 * The plans port: where a gateway reads RoutePlans and an agent LaunchSpecs. Whoever reads has every plan in memory, so reading
 * never waits; a driver that follows control keeps a copy on disk too, and starts from it when control is away.
 */
export interface Plans<P> {
  /** Resolves when there is something to read: the copy on disk, or control's first snapshot, whichever comes first. */
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Keys as `functionKey` and `revisionKey` make them. */
  get(key: string): P | undefined;
  entries(): IterableIterator<[string, P]>;
  /** Called after each change, with undefined when the plan is gone. Listeners are called in the order in which they came. */
  onChange(listener: (key: string, plan: P | undefined) => void): void;
  /** False until the first snapshot or copy has been read. */
  readonly ready: boolean;
}

export type RoutePlans = Plans<RoutePlan>;
export type LaunchPlans = Plans<LaunchSpec>;
