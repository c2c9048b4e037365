import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createSteps } from "./steps.ts";

test("steps are told as they begin, and at the end how long those took that took long", () => {
  let nowMs = 5;
  const told: string[] = [];
  const steps = createSteps({ ...createSystemClock(), monotonic: () => nowMs }, (text) => told.push(text));
  for (const [text, tookMs] of [
    ["Unpacking", 20],
    ["Installing 2 packages", 11_400],
    ["Packing", 150],
  ] as const) {
    steps.begin(text);
    nowMs += tookMs;
  }
  assert.deepEqual(told, ["Unpacking", "Installing 2 packages", "Packing"]);
  assert.equal(steps.summary(), "Built in 12s: installing 2 packages 11s; packing 0.1s");
});

test("of a build that took no time there is nothing more to say", () => {
  const steps = createSteps({ ...createSystemClock(), monotonic: () => 7 }, () => {});
  steps.begin("Packing");
  assert.equal(steps.summary(), "Built in 0.0s");
});
