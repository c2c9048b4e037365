import { type Counter, type Histogram, type Metrics, SECONDS } from "#base/metrics.ts";

export interface BundleMeters {
  readonly hits: Counter;
  readonly misses: Counter;
  readonly evictions: Counter;
  readonly fetchSeconds: Histogram;
  /** Of bundles fetched ahead. */
  readonly preloads: Readonly<Record<"done" | "failed", Counter>>;
}

export function createBundleMeters(metrics: Metrics): BundleMeters {
  const preloads = (outcome: string) =>
    metrics.counter("colibri_bundle_preloads_total", "Bundles fetched ahead of requests, by outcome.", { outcome });
  return {
    hits: metrics.counter("colibri_bundle_cache_hits_total", "Bundles wanted that were on the host."),
    misses: metrics.counter("colibri_bundle_cache_misses_total", "Bundles wanted that had to be waited for."),
    evictions: metrics.counter("colibri_bundle_cache_evictions_total", "Bundles removed from the host to make room."),
    fetchSeconds: metrics.histogram(
      "colibri_bundle_fetch_seconds",
      "From the wish to the unpacked bundle, of fetches that went well.",
      SECONDS,
    ),
    preloads: { done: preloads("done"), failed: preloads("failed") },
  };
}
