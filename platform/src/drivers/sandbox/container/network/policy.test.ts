import assert from "node:assert/strict";
import { test } from "node:test";
import { formatRange, isDenied, mergeRanges, parseAddress, parseRange } from "./ipv4.ts";
import { allowedPorts, parseAllowList } from "./policy.ts";

test("hosts become names and ranges, merged per port", () => {
  const list = parseAllowList([
    "Example.com.",
    "*.example.com:443",
    "203.0.113.0/25",
    "203.0.113.128/25",
    "203.0.113.7:80",
  ]);
  assert.deepEqual(list.names, [
    { name: "example.com", below: false, port: undefined },
    { name: "example.com", below: true, port: 443 },
  ]);
  assert.deepEqual(
    list.fixed.map((range) => `${formatRange(range)} ${range.port}`),
    ["203.0.113.0-203.0.113.255 undefined", "203.0.113.7 80"],
  );
});

test("a name is on the list as itself or below a star, never by a part of a label", () => {
  const list = parseAllowList(["example.com", "*.example.com:443", "*.example.com:8443"]);
  assert.equal(allowedPorts(list, "EXAMPLE.com"), "all");
  assert.deepEqual(allowedPorts(list, "a.b.example.com"), [443, 8443]);
  for (const name of ["notexample.com", "example.com.evil.net", "a\\046example.com", ".example", "com", ""]) {
    assert.deepEqual(allowedPorts(list, name), [], name);
  }
});

test("what is no host is refused by its name", () => {
  const wrong = [
    "",
    "*",
    "*.",
    "a..b",
    "1.2.3",
    "1.2.3.256",
    "203.0.113.1/24",
    "203.0.113.0/33",
    "a b",
    "-a.b",
    "a:",
    "a:0",
  ];
  for (const host of [
    ...wrong,
    "a:65536",
    "a:http",
    "::1",
    "http://a",
    `${"a".repeat(64)}.b`,
    "10.0.0.1",
    "192.168.0.0/24:1",
  ]) {
    assert.throws(() => parseAllowList([host]), { code: "config-invalid" }, host);
  }
  assert.throws(() => parseAllowList(Array.from({ length: 257 }, (_, index) => `a${index}.b`)), /257 hosts/);
});

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
