import assert from "node:assert/strict";
import { test } from "node:test";
import { stableJson } from "./stable-json.ts";

test("the order of keys does not matter, the order of items does", () => {
  const one = { b: [{ y: 1, x: null }], a: "10" };
  const other = { a: "10", b: [{ x: null, y: 1 }] };
  assert.equal(stableJson(one), stableJson(other));
  assert.equal(stableJson(one), '{"a":"10","b":[{"x":null,"y":1}]}');
  assert.notEqual(stableJson([1, 2]), stableJson([2, 1]));
});
