/** What a function's scale looks like at one moment. */
export interface ScaleView {
  /** Invocations waiting for a slot. */
  readonly queued: number;
  /** Free slots in ready sandboxes. */
  readonly idleSlots: number;
  /** Sandboxes being started. */
  readonly starting: number;
  /** Sandboxes that take invocations. */
  readonly ready: number;
  /** Slots a sandbox will have. */
  readonly concurrency: number;
  readonly min: number;
  readonly max: number;
}

/**
 * How many sandboxes to start now: what the queue needs beyond idle slots and starts under way, at least up to the minimum,
 * never past the maximum. Counted afresh at every change, so that a slow start does not make each waiter ask for one more.
 */
export function startsNeeded(view: ScaleView): number {
  const uncovered = view.queued - view.idleSlots - view.starting * view.concurrency;
  const forQueue = Math.max(0, Math.ceil(uncovered / view.concurrency));
  const present = view.ready + view.starting;
  const forMinimum = Math.max(0, view.min - present);
  return Math.max(0, Math.min(Math.max(forQueue, forMinimum), view.max - present));
}
