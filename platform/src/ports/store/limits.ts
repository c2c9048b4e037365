/** How much history a store keeps. Rows beyond are removed by the transaction that adds the next. */
export interface StoreLimits {
  /** Newest revisions of a function; those that `live` names are kept beside. */
  readonly revisions: number;
  /** A removed plan's key is remembered for so many further changes; who is further behind needs a snapshot. */
  readonly planChanges: number;
  /** Ended deployments of an app, with their events. */
  readonly deployments: number;
  /** Events of a deployment. What tools print is left out beyond that; how it went is not. */
  readonly events: number;
}

export const STORE_LIMITS: StoreLimits = Object.freeze({
  revisions: 10,
  planChanges: 10_000,
  deployments: 50,
  events: 2_000,
});

export const EVENTS_CUT = "Further output is not kept.";
