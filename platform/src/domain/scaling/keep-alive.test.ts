import assert from "node:assert/strict";
import { test } from "node:test";
import { expired, thawsNeeded, toFreeze } from "./keep-alive.ts";

const idle = (name: string, idleSinceMs: number | undefined) => ({ name, idleSinceMs });
const rule = { live: true, keepAliveMs: 100, min: 0, max: 10 };
const names = (sandboxes: { name: string }[]) => sandboxes.map((sandbox) => sandbox.name);

test("a sandbox goes when it was idle for its keep-alive, not before and never while used", () => {
  const sandboxes = [idle("old", 0), idle("young", 950), idle("used", undefined)];
  assert.deepEqual(names(expired(sandboxes, rule, 1_000)), ["old"]);
  assert.deepEqual(names(expired(sandboxes, rule, 99)), []);
});

test("the minimum stays, and those idle longest go first", () => {
  const sandboxes = [idle("b", 20), idle("a", 10), idle("c", 30)];
  assert.deepEqual(names(expired(sandboxes, { ...rule, min: 1 }, 1_000)), ["a", "b"]);
  assert.deepEqual(names(expired(sandboxes, { ...rule, min: 3 }, 1_000)), []);
});

test("a revision without traffic keeps nothing idle, whatever the minimum", () => {
  const sandboxes = [idle("idle", 999), idle("used", undefined)];
  assert.deepEqual(names(expired(sandboxes, { live: false, keepAliveMs: 100, min: 5, max: 10 }, 1_000)), ["idle"]);
});

test("what is above a lowered maximum goes as soon as it is idle", () => {
  const sandboxes = [idle("a", 999), idle("b", 998), idle("used", undefined)];
  assert.deepEqual(names(expired(sandboxes, { ...rule, max: 2 }, 1_000)), ["b"]);
});

test("what was idle for long enough is frozen; where that is never, nothing", () => {
  const sandboxes = [idle("old", 0), idle("just", 900), idle("young", 901), idle("used", undefined)];
  assert.deepEqual(names(toFreeze(sandboxes, 100, 1_000)), ["old", "just"]);
  assert.deepEqual(names(toFreeze(sandboxes, undefined, 1_000)), []);
});

test("as many are thawed as those need who have neither a slot nor a thaw under way", () => {
  const view = { queued: 5, idleSlots: 0, thawing: 0, frozen: 9, concurrency: 2 };
  assert.equal(thawsNeeded(view), 3);
  assert.equal(thawsNeeded({ ...view, thawing: 1 }), 2);
  assert.equal(thawsNeeded({ ...view, idleSlots: 4 }), 1);
  assert.equal(thawsNeeded({ ...view, frozen: 1 }), 1);
  assert.equal(thawsNeeded({ ...view, queued: 0, idleSlots: 3 }), 0);
});
