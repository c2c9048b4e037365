import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { type ScaleView, startsNeeded } from "./starts.ts";

const nothing: ScaleView = { queued: 0, idleSlots: 0, starting: 0, ready: 0, concurrency: 1, min: 0, max: 10 };

test("one waiter without a sandbox needs one start, and no second while that is under way", () => {
  assert.equal(startsNeeded({ ...nothing, queued: 1 }), 1);
  assert.equal(startsNeeded({ ...nothing, queued: 1, starting: 1 }), 0);
});

test("a start covers as many waiters as it will have slots", () => {
  assert.equal(startsNeeded({ ...nothing, queued: 41, concurrency: 20 }), 3);
  assert.equal(startsNeeded({ ...nothing, queued: 41, concurrency: 20, starting: 2 }), 1);
});

test("idle slots need no start", () => {
  assert.equal(startsNeeded({ ...nothing, queued: 3, idleSlots: 3, ready: 1 }), 0);
});

test("the minimum is kept without anybody waiting, the maximum also with a crowd", () => {
  assert.equal(startsNeeded({ ...nothing, min: 2 }), 2);
  assert.equal(startsNeeded({ ...nothing, queued: 600, ready: 4, starting: 3 }), 3);
  assert.equal(startsNeeded({ ...nothing, queued: 600, ready: 10 }), 0);
});

test("starting what was asked for settles it, whatever the numbers", () => {
  const random = createSeededRandom(7);
  for (let run = 0; run < 2_000; run++) {
    const max = 1 + random.below(20);
    const ready = random.below(max + 1);
    const view: ScaleView = {
      queued: random.below(200),
      idleSlots: random.below(5),
      ready,
      starting: random.below(max - ready + 1),
      concurrency: 1 + random.below(10),
      min: random.below(4),
      max,
    };
    const needed = startsNeeded(view);
    assert.ok(needed >= 0 && view.ready + view.starting + needed <= Math.max(max, view.ready + view.starting));
    assert.equal(startsNeeded({ ...view, starting: view.starting + needed }), 0, JSON.stringify(view));
  }
});
