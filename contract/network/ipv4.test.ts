import assert from "node:assert/strict";
import { test } from "node:test";
import { isDenied, mergeRanges, parseAddress, parseRange } from "./ipv4.ts";

test("ranges parse exactly and merge without loss", () => {
  assert.equal(parseAddress("255.255.255.255"), 2 ** 32 - 1);
  for (const text of ["1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.-4", "1.2.3.4 ", "0x1.2.3.4"])
    assert.equal(parseAddress(text), undefined);
  assert.equal(parseRange("0.0.0.0/0")!.last, 2 ** 32 - 1);
  const merged = mergeRanges([
    { first: 9, last: 12 },
    { first: 1, last: 3 },
    { first: 4, last: 5 },
    { first: 10, last: 10 },
  ]);
  assert.deepEqual(merged, [
    { first: 1, last: 5 },
    { first: 9, last: 12 },
  ]);
  assert.equal(isDenied(parseRange("100.100.100.200")!), true);
  assert.equal(isDenied(parseRange("172.0.0.0/8")!), false);
});
