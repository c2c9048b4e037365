import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "./metrics.ts";

test("counters and gauges render with help, type and labels; what is counted in place shows", () => {
  const metrics = createMetrics();
  const ok = metrics.counter("colibri_invocations_total", "Invocations, by outcome.", { outcome: "ok" });
  ok.value += 2;
  metrics.counter("colibri_invocations_total", "", { outcome: "ok" }).value++;
  metrics.counter("colibri_invocations_total", "", { outcome: 'a "b"\\\n' }).value = 0.5;
  metrics.read("colibri_queue_length", "Waiting.", {}, () => -1);
  metrics.read("process_used_total", "Used.", { by: "us" }, () => 3);
  let memory = 7;
  metrics.read("colibri_memory_bytes", "Back\\slash\nand line.", {}, () => memory);
  memory = Number.POSITIVE_INFINITY;
  assert.equal(
    metrics.render(),
    [
      "# HELP colibri_invocations_total Invocations, by outcome.",
      "# TYPE colibri_invocations_total counter",
      'colibri_invocations_total{outcome="ok"} 3',
      'colibri_invocations_total{outcome="a \\"b\\"\\\\\\n"} 0.5',
      "# HELP colibri_queue_length Waiting.",
      "# TYPE colibri_queue_length gauge",
      "colibri_queue_length -1",
      "# HELP process_used_total Used.",
      "# TYPE process_used_total counter",
      'process_used_total{by="us"} 3',
      "# HELP colibri_memory_bytes Back\\\\slash\\nand line.",
      "# TYPE colibri_memory_bytes gauge",
      "colibri_memory_bytes +Inf",
      "",
    ].join("\n"),
  );
});

test("a histogram's buckets add up, a value on a bound belongs to it", () => {
  const metrics = createMetrics();
  const run = metrics.histogram("colibri_run_seconds", "Run.", [0.1, 1], { function: "a" });
  for (const value of [0.05, 0.1, 0.5, 1, 1.5, 100]) run.observe(value);
  assert.deepEqual(metrics.render().split("\n").slice(2), [
    'colibri_run_seconds_bucket{function="a",le="0.1"} 2',
    'colibri_run_seconds_bucket{function="a",le="1"} 4',
    'colibri_run_seconds_bucket{function="a",le="+Inf"} 6',
    'colibri_run_seconds_sum{function="a"} 103.15',
    'colibri_run_seconds_count{function="a"} 6',
    "",
  ]);
});

test("series of what is gone are forgotten, the others stay", () => {
  const metrics = createMetrics();
  for (const fn of ["a", "b"])
    for (const outcome of ["ok", "no"]) metrics.counter("colibri_x_total", "", { function: fn, outcome });
  metrics.read("colibri_y", "", {}, () => 1);
  metrics.forget({ function: "a" });
  const samples = metrics
    .render()
    .split("\n")
    .filter((line) => line.startsWith("colibri"));
  assert.deepEqual(samples, [
    'colibri_x_total{function="b",outcome="ok"} 0',
    'colibri_x_total{function="b",outcome="no"} 0',
    "colibri_y 1",
  ]);
});

test("names that break the rules, and one name of two types, are bugs", () => {
  const metrics = createMetrics();
  metrics.counter("colibri_a_total", "");
  assert.throws(() => metrics.histogram("colibri_a_total", "", []), /is a counter, not a histogram/);
  assert.throws(() => metrics.counter("colibri_a", ""), /end in _total/);
  assert.throws(() => metrics.histogram("colibri_b_total", "", []), /end in _total/);
  assert.throws(() => metrics.counter("requests_total", ""), /does not begin with colibri_/);
  assert.throws(() => metrics.counter("colibri_c_total", "", { "a-b": "" }), /not a label's name/);
});
