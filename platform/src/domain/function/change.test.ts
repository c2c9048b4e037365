import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG as DEFAULTS } from "#contract/api/function-config.fixture.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import { changeOf, type LiveFunction } from "./change.ts";
import { splitConfig } from "./function.ts";

const CONFIG: FunctionConfig = { ...DEFAULTS, environment: { A: "1", B: "2" } };
const SOURCE = `sha256:${"0".repeat(64)}` as const;
const OTHER = `sha256:${"1".repeat(64)}` as const;
const { revision, policy } = splitConfig(CONFIG);
const ref = { tenant: "acme", app: "shop", function: "thumbnail", revision: "r1" };
const bundle = { digest: OTHER, bytes: 1 };
const LIVE: LiveFunction = {
  policy,
  revision: { ...ref, source: SOURCE, bundle, config: revision, createdAtMs: 0 },
  whole: true,
};

const cases: [string, string, Partial<FunctionConfig>, typeof SOURCE?][] = [
  ["the same", "unchanged", {}],
  ["the environment in another order", "unchanged", { environment: { B: "2", A: "1" } }],
  ["a policy", "policy", { policy: { ...policy, limits: { bodyBytes: 1 } } }],
  ["the environment", "configured", { environment: { A: "1" } }],
  ["memory", "configured", { memoryMiB: 256 }],
  ["a timeout", "configured", { timeoutMs: 1_000 }],
  ["concurrency and policy", "configured", { concurrency: 1, policy: { ...policy, limits: { bodyBytes: 1 } } }],
  ["the source", "build", {}, OTHER],
  ["the handler", "build", { handler: "main.ts" }],
  ["the runtime", "build", { runtime: "nodejs24" }],
  ["install scripts", "build", { build: { installScripts: ["sharp"] } }],
];
for (const [what, change, config, source = SOURCE] of cases)
  test(`${what}: ${change}`, () => {
    assert.equal(changeOf(LIVE, { source, config: { ...CONFIG, ...config } }), change);
  });

test("what is not there is built", () => {
  assert.equal(changeOf(undefined, { source: SOURCE, config: CONFIG }), "build");
});

test("of a split no configuration is unchanged", () => {
  assert.equal(changeOf({ ...LIVE, whole: false }, { source: SOURCE, config: CONFIG }), "configured");
});
