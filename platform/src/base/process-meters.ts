import type { Clock } from "./clock.ts";
import type { Metrics } from "./metrics.ts";

const TICK_MS = 100;
/** Seconds. A tick is late by a little anyway. */
const LAG_BOUNDS: readonly number[] = Object.freeze([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]);

/** What every role tells of its own process, under the names that Prometheus' clients use. For as long as the process lives. */
export function meterProcess(deps: { readonly clock: Clock; readonly metrics: Metrics }): void {
  const { clock, metrics } = deps;
  metrics.read("process_cpu_seconds_total", "Processor time used by the role's process.", {}, () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1_000_000;
  });
  metrics.read("process_resident_memory_bytes", "Memory of the role's process, shared pages included.", {}, () =>
    process.memoryUsage.rss(),
  );
  const help = `How late a timer fires that is set ten times a second: what else the event loop was busy with.`;
  const lag = metrics.histogram("nodejs_eventloop_lag_seconds", help, LAG_BOUNDS);
  const tickLater = () => {
    const dueMs = clock.monotonic() + TICK_MS;
    clock.after(TICK_MS, () => {
      lag.observe(Math.max(0, clock.monotonic() - dueMs) / 1_000);
      tickLater();
    });
  };
  tickLater();
}
