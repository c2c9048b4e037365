import assert from "node:assert/strict";
import { test } from "node:test";
import { count } from "./count.ts";

test("one, and any other number", () => {
  assert.deepEqual(
    [0, 1, 2].map((number) => count(number, "file")),
    ["0 files", "1 file", "2 files"],
  );
  assert.deepEqual(
    [1, 2].map((number) => count(number, "sandbox", "sandboxes")),
    ["1 sandbox", "2 sandboxes"],
  );
});
