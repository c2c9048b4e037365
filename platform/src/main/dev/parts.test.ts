import assert from "node:assert/strict";
import { test } from "node:test";
import { createParts } from "./parts.ts";

test("each part is closed, the last first, whatever became of the others; then what failed is told", async () => {
  const parts = createParts();
  const closed: number[] = [];
  for (const number of [1, 2, 3, 4])
    parts.add(async () => {
      closed.push(number);
      if (number % 2 === 0) throw new Error(`part ${number}`);
    });
  await assert.rejects(parts.close(), { message: "Error: part 4; Error: part 2" });
  assert.deepEqual(closed, [4, 3, 2, 1]);
  await parts.close();
  parts.add(() => assert.fail("alone"));
  await assert.rejects(parts.close(), { message: "alone" });
});
