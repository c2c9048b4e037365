import type { Counter, Metrics } from "#base/metrics.ts";
import type { PoolKey } from "#domain/scaling/pool-rules.ts";

export interface PoolMeters {
  readonly asked: Readonly<Record<"hit" | "claimed" | "miss", Counter>>;
  readonly starts: Readonly<Record<"ok" | "failed", Counter>>;
}

/** Of one pool, by runtime and size. */
export function meterPool(
  metrics: Metrics,
  { runtime, memoryMiB }: PoolKey,
  read: Readonly<Record<"waiting" | "starting" | "wanted", () => number>>,
): PoolMeters {
  const labels = { runtime, memory_mib: String(memoryMiB) };
  for (const state of ["waiting", "starting"] as const)
    metrics.read("colibri_pool_sandboxes", "Sandboxes of the pool, by state.", { ...labels, state }, read[state]);
  metrics.read("colibri_pool_wanted_sandboxes", "Sandboxes that the pool should have.", labels, read.wanted);
  const asked = (outcome: keyof PoolMeters["asked"]) =>
    metrics.counter(
      "colibri_pool_requests_total",
      "Sandboxes asked for: one waited in the pool (hit), was on its way to it (claimed), or there was none (miss).",
      { ...labels, outcome },
    );
  const starts = (outcome: keyof PoolMeters["starts"]) =>
    metrics.counter("colibri_pool_starts_total", "Starts of sandboxes for the pool, by how they ended.", {
      ...labels,
      outcome,
    });
  return {
    asked: { hit: asked("hit"), claimed: asked("claimed"), miss: asked("miss") },
    starts: { ok: starts("ok"), failed: starts("failed") },
  };
}
