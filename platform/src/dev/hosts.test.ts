import assert from "node:assert/strict";
import { test } from "node:test";
import { type AppConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { allowedHostProblem, hostProblem } from "./hosts.ts";

const TEXT = `app: shop
functions:
  f:
    runtime: nodejs
    triggers:
      - http: GET /
        host: shop.example.com
`;

function configOf(text: string): AppConfig {
  const parsed = parseAppConfig(text, { exists: () => true });
  assert.ok(parsed.kind === "config");
  return parsed.config;
}

test("names of this machine, claimed and allowed hosts pass, whatever only looks like them does not", () => {
  const problem = (host: string) =>
    hostProblem(host, configOf(TEXT), ["Tunnel.example.com", "demo.example.com:8080", "[2001:DB8::1]"]);
  const passing = "localhost localhost:8080 LOCALHOST a.b.localhost 127.0.0.1:1 127.9.9.9 [::1] [::1]:80 localhost.";
  for (const host of [
    ...passing.split(" "),
    "shop.example.com:8080",
    "tunnel.EXAMPLE.com",
    "demo.example.com",
    "demo.example.com.:9",
    "[2001:db8::1]:80",
  ])
    assert.equal(problem(host), undefined, host);
  const others =
    "evil.com localhost.evil.com evillocalhost 127.0.0.1.evil.com 1270.0.0.1 x@localhost [::1].evil ::1 0.0.0.0 .localhost localhost.. .";
  for (const host of [...others.split(" "), "", "localhost:80:evil.com", "a.shop.example.com"])
    assert.match(problem(host) ?? "", /^dev answers for localhost, not for /, host);
});

test("a host that is to be allowed is a name or an address, perhaps with a port", () => {
  for (const host of ["demo.example.com", "Demo.Example.com:8080", "demo.example.com.", "10.0.0.7", "[fe80::1]:80"])
    assert.equal(allowedHostProblem(host), undefined, host);
  const wrong = "https://demo.example.com demo.example.com/ demo.example.com:8080/x *.example.com fe80::1 [x] a..b";
  for (const host of [...wrong.split(" "), "", "a b", "a:1:2", `${"a.".repeat(130)}a`])
    assert.match(allowedHostProblem(host) ?? "", / is no host: write its name without scheme, path or wildcard/, host);
});
