import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "#base/metrics.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { createReportedMetrics } from "./metrics.ts";

function textOf(count: number): string {
  const metrics = createMetrics();
  metrics.counter("colibri_a_total", "Help of a.", { brace: "{ }" }).value = count;
  metrics.histogram("colibri_h_seconds", "Help of h.", [1]).observe(0.5);
  metrics.read("colibri_g", "Help of g.", {}, () => count);
  return metrics.render();
}

test("families of all roles come together, each said once, each sample told apart", () => {
  const metrics = createReportedMetrics({ clock: new SimulatedClock() });
  metrics.put({ role: "gateway", instance: 'g"1' }, "colibri_old 1\n");
  metrics.put({ role: "gateway", instance: 'g"1' }, textOf(1));
  metrics.put({ role: "agent", instance: "a1" }, textOf(2));
  const g = 'role="gateway",instance="g\\"1"';
  const a = 'role="agent",instance="a1"';
  assert.deepEqual(metrics.render().split("\n"), [
    "# HELP colibri_a_total Help of a.",
    "# TYPE colibri_a_total counter",
    `colibri_a_total{${g},brace="{ }"} 1`,
    `colibri_a_total{${a},brace="{ }"} 2`,
    "# HELP colibri_h_seconds Help of h.",
    "# TYPE colibri_h_seconds histogram",
    ...[g, a].flatMap((labels) => [
      `colibri_h_seconds_bucket{${labels},le="1"} 1`,
      `colibri_h_seconds_bucket{${labels},le="+Inf"} 1`,
      `colibri_h_seconds_sum{${labels}} 0.5`,
      `colibri_h_seconds_count{${labels}} 1`,
    ]),
    "# HELP colibri_g Help of g.",
    "# TYPE colibri_g gauge",
    `colibri_g{${g}} 1`,
    `colibri_g{${a}} 2`,
    "",
  ]);
});

test("who has said nothing for a while is left out", async () => {
  const clock = new SimulatedClock();
  const metrics = createReportedMetrics({ clock });
  metrics.put({ role: "gateway", instance: "g1" }, "colibri_a 1\n");
  await clock.advance(10_000);
  metrics.put({ role: "gateway", instance: "g2" }, "colibri_a 2\n");
  await clock.advance(5_001);
  assert.equal(metrics.render(), 'colibri_a{role="gateway",instance="g2"} 2\n');
});

test("lines that are no samples do not reach the page", () => {
  const metrics = createReportedMetrics({ clock: new SimulatedClock() });
  metrics.put({ role: "gateway", instance: "g1" }, "<html>\n\ncolibri_a 1\n 7\n# EOF\n");
  assert.equal(metrics.render(), 'colibri_a{role="gateway",instance="g1"} 1\n');
});
