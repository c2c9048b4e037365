import type { Clock } from "#base/clock.ts";
import { type Metrics, SECONDS } from "#base/metrics.ts";
import type { SandboxDriver } from "./sandbox.ts";

/** The driver, with its starts counted and timed. */
export function meterSandboxDriver(
  driver: SandboxDriver,
  deps: { readonly clock: Clock; readonly metrics: Metrics },
): SandboxDriver {
  const { clock, metrics } = deps;
  const count = (runtime: string, outcome: "ok" | "failed") =>
    metrics.counter("colibri_sandbox_starts_total", "Starts of sandboxes, by how they ended.", { runtime, outcome });
  const duration = (runtime: string) =>
    metrics.histogram(
      "colibri_sandbox_start_seconds",
      "From the start to a guest that listens, of starts that went well.",
      SECONDS,
      { runtime },
    );
  return {
    technology: driver.technology,
    capabilities: driver.capabilities,
    probe: () => driver.probe(),
    open: (signal) => driver.open(signal),
    close: () => driver.close(),
    recover: (handle) => driver.recover(handle),
    reap: (keep) => driver.reap(keep),
    endAll: () => driver.endAll(),
    async start(spec) {
      const runtime = spec.runtime.name;
      const begunMs = clock.monotonic();
      try {
        const sandbox = await driver.start(spec);
        duration(runtime).observe((clock.monotonic() - begunMs) / 1_000);
        count(runtime, "ok").value++;
        return sandbox;
      } catch (error) {
        count(runtime, "failed").value++;
        throw error;
      }
    },
  };
}
