import assert from "node:assert/strict";
import { test } from "node:test";
import { functionKey, revisionKey } from "#contract/names.ts";
import { planProblem } from "#contract/plan/plan.ts";
import type { FunctionState, RevisionState } from "./function.ts";
import { launchSpec, plansProblem, routePlan } from "./plan.ts";
import { claimsOf } from "./triggers.ts";

const REF = { tenant: "acme", app: "shop", function: "thumbnail" };
const REVISION: RevisionState = {
  ...REF,
  revision: "r3",
  source: `sha256:${"0".repeat(64)}`,
  bundle: { digest: `sha256:${"1".repeat(64)}`, bytes: 7 },
  config: {
    runtime: "nodejs24",
    handler: "src/index.ts#resize",
    memoryMiB: 256,
    timeoutMs: 1_000,
    initTimeoutMs: 2_000,
    concurrency: 5,
    execution: "loop",
    environment: { QUALITY: "80" },
    build: { installScripts: ["sharp"] },
  },
  createdAtMs: 1,
};
const FUNCTION: FunctionState = {
  ...REF,
  version: 9,
  live: [{ revision: "r3", weight: 100 }],
  policy: {
    scaling: { min: 1, max: 5, keepAliveMs: 10, freezeAfterMs: 5 },
    queue: { length: 2, timeoutMs: 3 },
    limits: { bodyBytes: 4 },
    triggers: [{ http: "get /thumb/{id}" }, { timer: "* * * * *" }, { http: "/x", host: "Shop.Example.com" }],
  },
  createdAtMs: 1,
  updatedAtMs: 2,
};

test("a gateway is told routes, limits and what dispatch needs, and no environment", () => {
  const plan = routePlan(FUNCTION, [REVISION]);
  assert.equal(planProblem("routes", functionKey(REF), plan), undefined);
  assert.deepEqual(plan.revisions, { r3: { runtime: "nodejs", memoryMiB: 256, concurrency: 5, timeoutMs: 1_000 } });
  assert.deepEqual(plan.policy.triggers, [
    { method: "GET", path: "/thumb/{id}" },
    { method: "*", path: "/x", host: "shop.example.com" },
  ]);
  assert.deepEqual(plan.policy.scaling, FUNCTION.policy.scaling);
  assert.deepEqual(plan.policy.access, { kind: "open" });
  assert.ok(!JSON.stringify(plan).includes("QUALITY"));
});

test("an agent is told how to start, with the handler's name in the bundle, and no routes", () => {
  const spec = launchSpec(REVISION, { kind: "allow", hosts: ["example.com"] });
  assert.equal(planProblem("launches", revisionKey(REVISION), spec), undefined);
  assert.equal(spec.handler, "src/index.mjs#resize");
  assert.equal(spec.runtime, "nodejs");
  assert.deepEqual(spec.environment, { QUALITY: "80" });
  assert.deepEqual(spec.network, { kind: "allow", hosts: ["example.com"] });
  assert.deepEqual(spec.bundle, REVISION.bundle);
  assert.ok(!JSON.stringify(spec).includes("thumb/"));
});

test("claims forget the names of parameters, and count once", () => {
  const triggers = [{ http: "/a/{id}/{rest*}" }, { http: "* /a/{x}/{y*}" }, { http: "GET /a/{id}", host: "H.example" }];
  assert.deepEqual(claimsOf({ ...FUNCTION.policy, triggers }), [
    { method: "*", host: "", path: "/a/{}/{*}" },
    { method: "GET", host: "h.example", path: "/a/{}" },
  ]);
});

test("what plans would refuse is known before they are made, of the policy and of the revision", () => {
  const config = { ...REVISION.config, policy: FUNCTION.policy };
  const problem = (changed: Partial<typeof config>) => plansProblem(REF, { ...config, ...changed }, REVISION.bundle);
  assert.equal(problem({}), undefined);
  const queue = { length: 2, timeoutMs: 2 ** 53 };
  assert.match(problem({ policy: { ...FUNCTION.policy, queue } })!, /^\.policy\.queue\.timeoutMs: expected an integer/);
  assert.match(problem({ initTimeoutMs: 1e300 })!, /^\.initTimeoutMs: expected an integer/);
  const network = { kind: "allow", hosts: ["a".repeat(300)] } as const;
  assert.match(plansProblem(REF, config, REVISION.bundle, network)!, /^\.network\.hosts\[0\]: expected/);
});
