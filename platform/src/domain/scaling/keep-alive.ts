export interface IdleSandbox {
  /** Since when no slot of it was used, on the clock that `now` is read from; undefined while one is. */
  readonly idleSinceMs: number | undefined;
}

/**
 * Which sandboxes have outlived their keep-alive, longest idle first, leaving at least `min` of the function. Those above `max`,
 * and those of a revision that gets no traffic any more (`live` false), go as soon as they are idle.
 */
export function expired<S extends IdleSandbox>(
  sandboxes: readonly S[],
  rule: { readonly live: boolean; readonly keepAliveMs: number; readonly min: number; readonly max: number },
  now: number,
): S[] {
  const spare = rule.live ? Math.max(0, sandboxes.length - rule.min) : sandboxes.length;
  const surplus = rule.live ? Math.max(0, sandboxes.length - rule.max) : sandboxes.length;
  return sandboxes
    .filter((sandbox) => sandbox.idleSinceMs !== undefined)
    .sort((a, b) => a.idleSinceMs! - b.idleSinceMs!)
    .slice(0, spare)
    .filter((sandbox, index) => index < surplus || now - sandbox.idleSinceMs! >= rule.keepAliveMs);
}

/** Which sandboxes have been idle for long enough to be frozen; none where that is never (undefined). */
export function toFreeze<S extends IdleSandbox>(
  sandboxes: readonly S[],
  freezeAfterMs: number | undefined,
  now: number,
): S[] {
  if (freezeAfterMs === undefined) return [];
  return sandboxes.filter(({ idleSinceMs }) => idleSinceMs !== undefined && now - idleSinceMs >= freezeAfterMs);
}

/**
 * How many frozen sandboxes to thaw for those who wait beyond idle slots and thaws under way. Starts under way do not count: a
 * thaw is there long before them.
 */
export function thawsNeeded(view: {
  readonly queued: number;
  readonly idleSlots: number;
  readonly thawing: number;
  readonly frozen: number;
  readonly concurrency: number;
}): number {
  const uncovered = view.queued - view.idleSlots - view.thawing * view.concurrency;
  return Math.min(view.frozen, Math.max(0, Math.ceil(uncovered / view.concurrency)));
}
