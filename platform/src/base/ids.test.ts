import assert from "node:assert/strict";
import { test } from "node:test";
import { isId } from "#contract/names.ts";
import { createIds, idFloor, idTime } from "./ids.ts";
import { createSeededRandom } from "./random.ts";
import { SimulatedClock } from "./simulated-clock.ts";

test("ids are well-formed, tell their time, and sort in the order they were made, also when the clock stands or steps back", () => {
  const clock = new SimulatedClock(1_700_000_000_000);
  const ids = createIds(clock, createSeededRandom(1));
  const made = Array.from({ length: 5_000 }, () => ids.next());
  const back = { ...clock, now: () => 1_600_000_000_000 };
  assert.ok(back.now() < clock.now());
  assert.ok(made.every(isId));
  assert.equal(new Set(made).size, made.length);
  assert.deepEqual([...made].sort(), made);
  assert.equal(idTime(made[0]!), 1_700_000_000_000);
});

test("a full counter moves on to the next millisecond instead of repeating", () => {
  const clock = { now: () => 1_700_000_000_000 } as SimulatedClock;
  const ids = createIds(clock, createSeededRandom(1));
  let last = "";
  for (let index = 0; index < 32 ** 4 + 10; index++) {
    const id = ids.next();
    if (id <= last) assert.fail(`${id} after ${last}`);
    last = id;
  }
});

test("the floor of a moment is below every id of it", () => {
  const ids = createIds(new SimulatedClock(1_700_000_000_000), createSeededRandom(2));
  assert.ok(idFloor(1_700_000_000_000) <= ids.next());
  assert.ok(idFloor(1_700_000_000_001) > ids.next());
});
