import { formatDuration } from "./units.ts";

/** In place of a duration: not at all. */
export const NEVER = "never";

/** Why none of a function's sandboxes would ever be frozen, although its configuration says when. */
export function freezeProblem(scaling: {
  readonly min: number;
  readonly keepAliveMs: number;
  readonly freezeAfterMs?: number;
}): string | undefined {
  const { min, keepAliveMs, freezeAfterMs } = scaling;
  // Those of the minimum outlive any keep-alive.
  if (freezeAfterMs === undefined || freezeAfterMs < keepAliveMs || min > 0) return undefined;
  return `must be less than keepAlive (${formatDuration(keepAliveMs)}), after which idle sandboxes go, or ${NEVER}`;
}
