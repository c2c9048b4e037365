import type { Clock } from "#base/clock.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Telemetry } from "#ports/telemetry/index.ts";

/** Well within the time after which control takes a role's meters for stale. */
const EVERY_MS = 5_000;

/** Reports what a role counts, at once and from then on for as long as the process lives. */
export function reportMeters(deps: {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly metrics: Metrics;
}): void {
  const { clock, telemetry, metrics } = deps;
  telemetry.add({ kind: "meters", text: metrics.render() });
  clock.after(EVERY_MS, () => reportMeters(deps));
}
