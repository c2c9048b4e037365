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
