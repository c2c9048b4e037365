import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, type Demand, NO_DEMAND, neediest, poolSizes } from "./pool-size.ts";

const RULE = { min: 0, max: 8 };
const START_MS = 50;

function afterAsks(times: readonly number[], rule = RULE, startMs = START_MS): Demand {
  return times.reduce((demand, at) => asked(demand, rule, startMs, at), NO_DEMAND);
}

test("what was never asked for has its minimum, and no more", () => {
  assert.deepEqual(poolSizes(NO_DEMAND, RULE, START_MS, 5_000), { min: 0, recent: 0, fill: 0, keep: 0 });
  assert.deepEqual(poolSizes(NO_DEMAND, { min: 2, max: 8 }, START_MS, 5_000), { min: 2, recent: 0, fill: 2, keep: 2 });
});

test("it grows to the busiest second, never past the maximum", () => {
  const three = afterAsks([1_000, 1_400, 1_900]);
  assert.equal(poolSizes(three, RULE, START_MS, 1_900).fill, 3);
  assert.equal(poolSizes(afterAsks([1_000, 3_000, 5_000]), RULE, START_MS, 5_000).fill, 1);
  const many = afterAsks(Array.from({ length: 100 }, (_, index) => 1_000 + index));
  assert.equal(poolSizes(many, RULE, START_MS, 1_100).fill, 8);
  assert.equal(many.askedMs.length, 8);
});

test("where a start takes longer than a second, a burst is what comes within one start", () => {
  const slow = afterAsks([1_000, 3_000, 5_000], RULE, 10_000);
  assert.equal(poolSizes(slow, RULE, 10_000, 5_000).fill, 3);
});

test("it stays for a while when demand goes, then shrinks step by step to its minimum", () => {
  const five = afterAsks([0, 10, 20, 30, 40]);
  const at = (seconds: number) => poolSizes(five, { min: 1, max: 8 }, START_MS, seconds * 1_000);
  assert.deepEqual([at(30).keep, at(60).keep], [5, 5]);
  let before = 5;
  for (let seconds = 60; seconds < 900; seconds++) {
    const { keep, fill } = at(seconds);
    assert.ok(keep <= before && keep >= before - 1, `from ${before} to ${keep} at ${seconds} s`);
    assert.ok(fill <= keep, `what is not kept is filled at ${seconds} s`);
    before = keep;
  }
  assert.equal(before, 1);
});

test("a pool without a minimum is empty in the end", () => {
  const { fill, keep } = poolSizes(afterAsks([0]), RULE, START_MS, 600_000);
  assert.deepEqual([fill, keep], [0, 0]);
});

test("a single request now and then neither grows nor shrinks the pool", () => {
  let demand = NO_DEMAND;
  for (let at = 0; at < 3_600_000; at += 20_000) {
    demand = asked(demand, RULE, START_MS, at);
    const { fill, keep } = poolSizes(demand, RULE, START_MS, at + 19_000);
    assert.deepEqual([fill, keep], [1, 1], `at ${at} ms`);
  }
});

test("one more goes to minimum first, then to what is being used, then to what may be needed", () => {
  const pool = (name: string, size: number, min: number, recent: number, fill: number) => ({
    ...{ name, size },
    sizes: { min, recent, fill, keep: fill },
  });
  const minimum = pool("minimum", 0, 1, 0, 1);
  const refill = pool("refill", 1, 0, 3, 3);
  const emptier = pool("emptier", 0, 0, 3, 3);
  const prediction = pool("prediction", 0, 0, 0, 8);
  const full = pool("full", 4, 1, 4, 4);
  const chosen = (...pools: ReturnType<typeof pool>[]) => neediest(pools)?.name;
  assert.equal(chosen(full, prediction, refill, minimum), "minimum");
  assert.equal(chosen(prediction, refill, emptier), "emptier");
  assert.equal(chosen(full, prediction), "prediction");
  assert.equal(chosen(full), undefined);
});
