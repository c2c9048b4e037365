import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { NetworkPolicy } from "../network/policy.ts";
import { parseAppConfig } from "./app-config.ts";

/** A function `f` with one line of configuration more. */
function withLine(line: string): string {
  return `app: a\nfunctions:\n  f:\n    runtime: nodejs\n    ${line}\n`;
}

const FORMS = "a name, *.name, an IPv4 address or an IPv4 range such as 203.0.113.0/24, with an optional :port";
const withNetwork = (network: string) => `network: ${network}\n${withLine("")}`;

const WRONG: readonly (readonly [what: string, text: string, message: string])[] = [
  [
    "a network that is none of the words",
    withNetwork("off"),
    '1:10 network must be internet, none, or { allow: [example.com, "*.example.com"] }, not "off"',
  ],
  [
    "hosts without allow",
    withNetwork("[example.com]"),
    '1:10 network must be internet, none, or { allow: [example.com, "*.example.com"] }, not a list',
  ],
  [
    "a network without anything in it",
    withNetwork("{}"),
    '1:10 network says nothing: write internet, none, or { allow: [example.com, "*.example.com"] }',
  ],
  [
    "an empty allow-list",
    withNetwork("{ allow: [] }"),
    "1:19 network.allow is empty: to let nothing through write network: none",
  ],
  [
    "a URL for a host",
    withNetwork("{ allow: [a.b, 'https://a.b'] }"),
    '1:25 network.allow[1] "https://a.b" is an address of the web: leave https:// out, and what stands behind the host',
  ],
  [
    "an address with bits behind its prefix",
    withNetwork("{ allow: [203.0.113.1/24] }"),
    `1:20 network.allow[0] "203.0.113.1/24" is no host to allow: expected ${FORMS}`,
  ],
  [
    "a private address",
    withNetwork("\n  allow:\n    - 10.0.0.0/8"),
    '3:7 network.allow[0] "10.0.0.0/8" is private, and denied to every sandbox: take it off the list',
  ],
  [
    "a number for a host",
    withNetwork("{ allow: [7] }"),
    '1:20 network.allow[0] must be a host such as example.com or 203.0.113.0/24, not "7"',
  ],
  [
    "the network of one function",
    withLine("network: none"),
    "5:5 functions.f.network is no key of this file; it belongs to the top level of this file, for the whole app",
  ],
];

test("what its sandboxes may reach is read as it stands", () => {
  const networkOf = (network: string): NetworkPolicy | undefined => {
    const parsed = parseAppConfig(withNetwork(network), { exists: () => true });
    return parsed.kind === "config" ? parsed.config.network : undefined;
  };
  assert.deepEqual(networkOf("none"), { kind: "none" });
  assert.deepEqual(networkOf("internet"), { kind: "internet" });
  const hosts = ["Example.com", "*.example.com", "203.0.113.0/24", "api.example.com:443"];
  assert.deepEqual(networkOf(`{ allow: [${hosts.map((host) => `"${host}"`)}] }`), { kind: "allow", hosts });
  assert.deepEqual(networkOf("\n  allow:\n    - api.example.com:443"), { kind: "allow", hosts: hosts.slice(3) });
});

describe("mistakes in a network", () => {
  for (const [what, text, message] of WRONG)
    test(what, () => {
      const parsed = parseAppConfig(text, { exists: () => true });
      const mistakes = parsed.kind === "mistakes" ? parsed.mistakes : [];
      assert.deepEqual(
        mistakes.map(({ line, column, path, message }) => `${line}:${column} ${path} ${message}`),
        [message],
      );
    });
});
