import type { Metrics } from "#base/metrics.ts";
import type { Store } from "./store.ts";

/** The store, with the deployments that end counted. */
export function meterStore(store: Store, metrics: Metrics): Store {
  return {
    ...store,
    async progress(tenant, id, progress) {
      const changed = await store.progress(tenant, id, progress);
      const { state } = progress;
      if (changed && (state === "done" || state === "failed"))
        metrics.counter("colibri_deployments_total", "Deployments that ended, by how.", { outcome: state }).value++;
      return changed;
    },
  };
}
