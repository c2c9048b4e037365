import assert from "node:assert/strict";
import { test } from "node:test";
import { DENIED, formatAddress, isDenied, mergeRanges, overlaps, parseAddress, parseRange } from "./ipv4.ts";

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

test("addresses are written as they are read; ranges overlap in either order, and by one address", () => {
  for (const text of ["0.0.0.0", "127.0.0.1", "203.0.113.7", "255.255.255.255"])
    assert.equal(formatAddress(parseAddress(text)!), text);
  const range = (text: string) => parseRange(text)!;
  assert.equal(overlaps(range("10.0.0.0/8"), range("10.255.255.255")), true);
  assert.equal(overlaps(range("10.255.255.255"), range("10.0.0.0/8")), true);
  assert.equal(overlaps(range("10.0.0.0/8"), range("11.0.0.0/8")), false);
});

test("what is denied to all is denied from its first address to its last, and not beyond", () => {
  for (const text of DENIED) {
    const { first, last } = parseRange(text)!;
    assert.equal(isDenied({ first, last: first }) && isDenied({ first: last, last }), true, text);
  }
  for (const text of ["9.255.255.255", "11.0.0.0", "172.32.0.0", "192.169.0.0", "223.255.255.255"])
    assert.equal(isDenied(parseRange(text)!), false, text);
});
