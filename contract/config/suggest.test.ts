import assert from "node:assert/strict";
import { test } from "node:test";
import { closest } from "./suggest.ts";

const WORDS = ["memory", "timeout", "env", "app"];

test("typing mistakes are seen through", () => {
  for (const typed of ["memry", "memroy", "Memory", "mmory", "memoryy"]) assert.equal(closest(typed, WORDS), "memory");
  assert.equal(closest("tiemout", WORDS), "timeout");
  assert.equal(closest("evn", WORDS), "env");
});

test("what is far from everything suggests nothing", () => {
  for (const typed of ["zzz", "", "x", "memorandum-of-understanding", "m".repeat(100_000)]) {
    assert.equal(closest(typed, WORDS), undefined);
  }
});
