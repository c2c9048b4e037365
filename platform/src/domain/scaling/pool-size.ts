/** How many sandboxes a pool may hold, those being started included. */
export interface PoolRule {
  readonly min: number;
  readonly max: number;
}

/** What has been asked of a pool, as far as its size hangs on it. */
export interface Demand {
  /** When it was asked lately, oldest first; never more often than the pool may be large. */
  readonly askedMs: readonly number[];
  /** The most that it was asked within one window, and when that was. */
  readonly peak: number;
  readonly peakMs: number;
}

export interface PoolSizes {
  readonly min: number;
  /** Asked for within the last window. */
  readonly recent: number;
  /** It is filled up to this many. */
  readonly fill: number;
  /** Those above this many go. Never below `fill`: what is between stays, but is not replaced, so that nothing flaps. */
  readonly keep: number;
}

export const NO_DEMAND: Demand = Object.freeze({ askedMs: [], peak: 0, peakMs: 0 });

/** A burst is what comes within this time, or within that of one start where this is longer: the pool can't refill meanwhile. */
const WINDOW_MS = 1_000;
/** The busiest window counts in full for so long. */
const HOLD_MS = 60_000;
/** Then it counts half as much after each such time. */
const HALF_LIFE_MS = 60_000;
/** Less than this is no demand. */
const NOTHING = 0.1;

/** After one more was asked for. */
export function asked(demand: Demand, rule: PoolRule, startMs: number, nowMs: number): Demand {
  const askedMs = [...demand.askedMs, nowMs].slice(-Math.max(1, rule.max));
  const count = within(askedMs, startMs, nowMs);
  if (count < level(demand, nowMs)) return { ...demand, askedMs };
  return { askedMs, peak: count, peakMs: nowMs };
}

/**
 * How large the pool should be: enough for the busiest window of late, since what a burst takes can't be replaced within it; at
 * least the minimum, never more than the maximum. `startMs` is what one start takes.
 */
export function poolSizes(demand: Demand, rule: PoolRule, startMs: number, nowMs: number): PoolSizes {
  const { min, max } = rule;
  const clamp = (count: number) => Math.max(min, Math.min(max, count));
  const now = level(demand, nowMs);
  const recent = Math.min(max, within(demand.askedMs, startMs, nowMs));
  return {
    min,
    recent,
    fill: clamp(Math.max(recent, Math.round(now))),
    keep: clamp(Math.max(recent, now < NOTHING ? 0 : Math.ceil(now))),
  };
}

/** Why a pool should have one more: what was promised, what is being used, what may be needed again. */
type PoolNeed = "minimum" | "refill" | "prediction";
const BY_URGENCY: readonly PoolNeed[] = ["minimum", "refill", "prediction"];

function poolNeed(size: number, { min, recent, fill }: PoolSizes): PoolNeed | undefined {
  if (size < min) return "minimum";
  if (size < Math.min(recent, fill)) return "refill";
  return size < fill ? "prediction" : undefined;
}

/** Which pool is to have the next start: by what it needs it for, then the one that lacks most, then the first. */
export function neediest<P extends { readonly size: number; readonly sizes: PoolSizes }>(
  pools: readonly P[],
): P | undefined {
  let found: { pool: P; urgency: number; lacks: number } | undefined;
  for (const pool of pools) {
    const need = poolNeed(pool.size, pool.sizes);
    if (need === undefined) continue;
    const urgency = BY_URGENCY.indexOf(need);
    const lacks = pool.sizes.fill - pool.size;
    const first = found === undefined || urgency < found.urgency || (urgency === found.urgency && lacks > found.lacks);
    if (first) found = { pool, urgency, lacks };
  }
  return found?.pool;
}

function within(askedMs: readonly number[], startMs: number, nowMs: number): number {
  const sinceMs = nowMs - Math.max(WINDOW_MS, startMs);
  return askedMs.filter((at) => at > sinceMs).length;
}

function level({ peak, peakMs }: Demand, nowMs: number): number {
  return peak * 2 ** (-Math.max(0, nowMs - peakMs - HOLD_MS) / HALF_LIFE_MS);
}
