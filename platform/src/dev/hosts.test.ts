import assert from "node:assert/strict";
import { test } from "node:test";
import { type AppConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { hostProblem } from "./hosts.ts";

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
  const problem = (host: string) => hostProblem(host, configOf(TEXT), ["Tunnel.example.com"]);
  const passing = "localhost localhost:8080 LOCALHOST a.b.localhost 127.0.0.1:1 127.9.9.9 [::1] [::1]:80 localhost.";
  for (const host of [...passing.split(" "), "shop.example.com:8080", "tunnel.EXAMPLE.com"])
    assert.equal(problem(host), undefined, host);
  const others =
    "evil.com localhost.evil.com evillocalhost 127.0.0.1.evil.com 1270.0.0.1 x@localhost [::1].evil ::1 0.0.0.0 .localhost";
  for (const host of [...others.split(" "), "", "localhost:80:evil.com", "a.shop.example.com"])
    assert.match(problem(host) ?? "", /^dev answers for localhost, not for /, host);
});
