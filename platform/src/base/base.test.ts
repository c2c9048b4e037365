import assert from "node:assert/strict";
import { test } from "node:test";
import { createBackoff } from "./backoff.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import { sleep } from "./clock.ts";
import { createLog } from "./log.ts";
import { createSeededRandom } from "./random.ts";
import { Semaphore } from "./semaphore.ts";
import { SimulatedClock } from "./simulated-clock.ts";

test("backoff grows to its maximum, never below half of its step, and starts over", () => {
  const backoff = createBackoff(createSeededRandom(3), { firstMs: 100, maximumMs: 1_000 });
  for (const ceiling of [100, 200, 400, 800, 1_000, 1_000]) {
    const wait = backoff.next();
    assert.ok(wait >= ceiling / 2 && wait <= ceiling, `${wait} of ${ceiling}`);
  }
  backoff.reset();
  assert.ok(backoff.next() <= 100);
});

test("a bounded queue keeps order and its bound over many turns", () => {
  const queue = new BoundedQueue<number>(3);
  assert.deepEqual([queue.push(1), queue.push(2), queue.push(3), queue.push(4)], [true, true, true, false]);
  let expected = 1;
  for (let next = 4; next < 5_000; next++) {
    assert.equal(queue.shift(), expected++);
    assert.equal(queue.push(next), true);
    assert.equal(queue.length, 3);
  }
  assert.deepEqual([...queue], [4_997, 4_998, 4_999]);
});

test("a semaphore lets in its limit, then one for each that leaves, in order", async () => {
  const semaphore = new Semaphore(2);
  const entered: number[] = [];
  const enter = (number: number) => semaphore.acquire().then(() => entered.push(number));
  await Promise.all([enter(1), enter(2)]);
  const third = enter(3);
  const fourth = enter(4);
  await Promise.resolve();
  assert.deepEqual(entered, [1, 2]);
  semaphore.release();
  await third;
  assert.deepEqual(entered, [1, 2, 3]);
  semaphore.release();
  await fourth;
  semaphore.release();
  semaphore.release();
  await enter(5);
  assert.deepEqual(entered, [1, 2, 3, 4, 5]);
});

test("simulated time runs timers by time and then by order, and lets promises settle in between", async () => {
  const clock = new SimulatedClock(0);
  const seen: string[] = [];
  clock.after(20, () => seen.push("late"));
  clock.after(10, () => void Promise.resolve().then(() => seen.push("promise of first")));
  clock.after(10, () => seen.push("second"));
  const cancelled = clock.after(5, () => seen.push("cancelled"));
  clock.cancel(cancelled);
  await clock.advance(15);
  assert.deepEqual(seen, ["promise of first", "second"]);
  assert.equal(clock.monotonic(), 15);
  await clock.advance(5);
  assert.deepEqual(seen.at(-1), "late");
});

test("simulated timers fire in order whatever order they were set in", async () => {
  const clock = new SimulatedClock(0);
  const random = createSeededRandom(11);
  const fired: number[] = [];
  for (let index = 0; index < 500; index++) {
    const at = random.below(100);
    clock.after(at, () => fired.push(at));
  }
  await clock.advance(100);
  assert.equal(fired.length, 500);
  assert.deepEqual(
    fired,
    [...fired].sort((a, b) => a - b),
  );
});

test("sleep ends early when its signal aborts, and leaves no timer", async () => {
  const clock = new SimulatedClock(0);
  const stop = new AbortController();
  const slept = sleep(clock, 1_000, stop.signal);
  stop.abort();
  await slept;
  assert.equal(clock.pending, 0);
});

test("the log is one JSON object a line, below its level silent, with errors readable", () => {
  const lines: string[] = [];
  const log = createLog({ clock: new SimulatedClock(0), write: (line) => lines.push(line) }, { level: "info" }).with({
    role: "test",
  });
  log.debug("hidden");
  log.warn("shown", { error: new TypeError("why"), text: "a\nb" });
  assert.equal(lines.length, 1);
  const entry = JSON.parse(lines[0]!);
  assert.deepEqual(
    [entry.level, entry.role, entry.message, entry.text, entry.error.name, entry.error.message],
    ["warn", "test", "shown", "a\nb", "TypeError", "why"],
  );
  assert.equal(lines[0]!.trimEnd().includes("\n"), false);
});
