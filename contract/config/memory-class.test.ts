import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryClassOf, showMemory } from "./memory-class.ts";

test("memory is rounded up to a step of 64 MiB", () => {
  const classes = [1, 64, 65, 100, 128, 129, 1_000, 65_536].map(memoryClassOf);
  assert.deepEqual(classes, [64, 64, 128, 128, 128, 192, 1_024, 65_536]);
});

test("what was asked for is shown where sandboxes have more", () => {
  assert.deepEqual([showMemory(128), showMemory(100)], ["128 MiB", "128 MiB (100 rounded up)"]);
});
