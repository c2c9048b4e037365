import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "../shape.ts";
import { formatRange } from "./ipv4.ts";
import {
  allowedPorts,
  hostProblem,
  MAXIMUM_HOST_LENGTH,
  networkPolicy,
  networkProblems,
  parseAllowList,
  samePolicy,
  showPolicy,
} from "./policy.ts";

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

test("an address of the web, and the sandbox itself, are told why", () => {
  for (const [host, scheme] of [
    ["https://example.com", "https://"],
    ["HTTP://example.com:80/path", "HTTP://"],
  ] as const)
    assert.equal(
      hostProblem(host),
      `"${host}" is an address of the web: leave ${scheme} out, and what stands behind the host`,
    );
  for (const host of ["localhost", "LocalHost:80", "*.localhost", "app.localhost."])
    assert.match(hostProblem(host)!, /is the sandbox itself.*: take it off the list$/);
  assert.equal(hostProblem("localhost.example.com"), undefined);
});

test("problems of a policy name the host and its place", () => {
  assert.deepEqual(networkProblems({ kind: "none" }), []);
  assert.deepEqual(networkProblems({ kind: "allow", hosts: ["a.b"] }), []);
  assert.deepEqual(networkProblems({ kind: "allow", hosts: [] }), [
    { path: "hosts", message: "is empty: for nothing at all use the policy none" },
  ]);
  const [first, ...rest] = networkProblems({ kind: "allow", hosts: ["a.b", "169.254.169.254"] });
  assert.equal(first?.path, "hosts[1]");
  assert.match(first?.message ?? "", /"169.254.169.254" is private/);
  assert.deepEqual(rest, []);
});

test("the longest host is one, and fits a plan", () => {
  const label = "a".repeat(63);
  const host = `*.${[label, label, label, "a".repeat(61)].join(".")}.:65535`;
  assert.equal(host.length, MAXIMUM_HOST_LENGTH);
  assert.equal(hostProblem(host), undefined);
  assert.equal(parse(networkPolicy, { kind: "allow", hosts: [host] }, "network").kind, "allow");
});

test("policies are the same when they let the same through as written", () => {
  const allow = (...hosts: string[]) => ({ kind: "allow", hosts }) as const;
  assert.equal(samePolicy({ kind: "none" }, { kind: "none" }), true);
  assert.equal(samePolicy({ kind: "none" }, { kind: "internet" }), false);
  assert.equal(samePolicy(allow("a", "b"), allow("a", "b")), true);
  assert.equal(samePolicy(allow("a", "b"), allow("a")), false);
  assert.equal(samePolicy(allow("a", "b"), allow("a", "c")), false);
  assert.equal(samePolicy(allow(), { kind: "none" }), false);
  assert.equal(showPolicy(allow("a", "b")), "only a, b");
});
