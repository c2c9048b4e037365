import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "./clock.ts";
import { createMetrics } from "./metrics.ts";
import { meterProcess } from "./process-meters.ts";
import { SimulatedClock } from "./simulated-clock.ts";

test("a process tells its processor time, its memory and how late its timers are", async () => {
  const time = new SimulatedClock();
  let lateMs = 0;
  const clock: Clock = {
    now: () => time.now(),
    monotonic: () => time.monotonic() + lateMs,
    after: (delayMs, action) => time.after(delayMs, action),
    cancel: (timer) => time.cancel(timer),
  };
  const metrics = createMetrics();
  meterProcess({ clock, metrics });
  await time.advance(500);
  lateMs += 300;
  await time.advance(100);
  const lines = metrics.render().split("\n");
  const value = (start: string) => Number(lines.find((line) => line.startsWith(`${start} `))?.split(" ")[1]);
  assert.ok(lines.includes("# TYPE process_cpu_seconds_total counter"));
  assert.ok(lines.includes("# TYPE process_resident_memory_bytes gauge"));
  const used = process.cpuUsage();
  const cpu = value("process_cpu_seconds_total");
  assert.ok(cpu > 0 && cpu <= (used.user + used.system) / 1e6, `${cpu}`);
  assert.ok(value("process_resident_memory_bytes") > 10 * 1024 * 1024);
  assert.equal(value('nodejs_eventloop_lag_seconds_bucket{le="0.005"}'), 5);
  assert.equal(value('nodejs_eventloop_lag_seconds_bucket{le="0.25"}'), 5);
  assert.equal(value('nodejs_eventloop_lag_seconds_bucket{le="0.5"}'), 6);
  assert.equal(value("nodejs_eventloop_lag_seconds_sum"), 0.3);
});
