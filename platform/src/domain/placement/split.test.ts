import assert from "node:assert/strict";
import { test } from "node:test";
import { chooseRevision } from "./split.ts";

test("points fall on revisions by weight", () => {
  const split = [
    { revision: "r1", weight: 90 },
    { revision: "r2", weight: 10 },
  ];
  assert.equal(chooseRevision(split, 0), "r1");
  assert.equal(chooseRevision(split, 0.899), "r1");
  assert.equal(chooseRevision(split, 0.9), "r2");
  assert.equal(chooseRevision(split, 0.999_999), "r2");
});

test("a split of one is always that one", () => {
  assert.equal(chooseRevision([{ revision: "r7", weight: 100 }], 0.5), "r7");
});
