import assert from "node:assert/strict";
import { test } from "node:test";
import { WholeLines } from "./whole-lines.ts";

test("lines leave whole, however they came", () => {
  const passed: string[] = [];
  const lines = new WholeLines((text) => passed.push(text));
  for (const text of ["a\nb\nc", "d", "e\n", "f"]) lines.push(text);
  assert.deepEqual(passed, ["a\nb\n", "cde\n"]);
  lines.end();
  lines.end();
  assert.deepEqual(passed.slice(2), ["f\n"]);
});

test("a line without end is not held for ever", () => {
  let longest = 0;
  const lines = new WholeLines((text) => {
    longest = Math.max(longest, text.length);
  });
  for (let piece = 0; piece < 40; piece++) lines.push("x".repeat(64 * 1024));
  assert.ok(longest > 1 << 20 && longest < 2 << 20, `${longest} characters`);
});
