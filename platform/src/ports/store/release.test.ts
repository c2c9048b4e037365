import assert from "node:assert/strict";
import { test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { FunctionState } from "#domain/function/function.ts";
import type { DeploymentState, FunctionRelease, Release } from "./deployment.ts";
import {
  type ClaimHolder,
  claimsWanted,
  decideDeletion,
  decideRelease,
  releasedFunction,
  revisionsToForget,
} from "./release.ts";

const CLAIM = { method: "GET", host: "", path: "/a" };
const policyWith = (...paths: string[]) => ({
  ...CONFIG.policy,
  triggers: paths.map((path) => ({ http: `GET ${path}` })),
});
const current = (name: string): FunctionState => ({
  ...{ tenant: "acme", app: "shop", function: name, version: 7, policy: CONFIG.policy },
  live: [
    { revision: "r2", weight: 10 },
    { revision: "r1", weight: 90 },
  ],
  ...{ createdAtMs: 1, updatedAtMs: 2 },
});
const held = (name: string, of: Partial<ClaimHolder> = {}): ClaimHolder => ({
  ...{ tenant: "acme", app: "shop", function: name, claim: CLAIM },
  ...of,
});
const policy = (name: string, ...paths: string[]): FunctionRelease & { kind: "policy" } => ({
  ...{ kind: "policy", function: name, from: "r1", policy: policyWith(...paths) },
});
const unchanged = (name: string): FunctionRelease => ({ kind: "unchanged", function: name, from: "r1" });
const release = (functions: FunctionRelease[], prune = false): Release => ({
  ...{ deployment: "D1", app: "shop", atMs: 9, prune, functions },
});

const DEPLOYMENT: DeploymentState = {
  ...{
    tenant: "acme",
    id: "D1",
    app: "shop",
    state: "releasing",
    attempts: 1,
    request: { app: "shop", functions: {} },
  },
  ...{ functions: [], warnings: [], createdAtMs: 1 },
};

function decide(wanted: Release, names: string[], holders: ClaimHolder[] = []) {
  return decideRelease("acme", wanted, DEPLOYMENT, new Map(names.map((name) => [name, current(name)])), holders);
}
const accepted = (removed: string[]) => ({ kind: "accepted", deployment: DEPLOYMENT, removed });

test("what it was decided on must still be so", () => {
  assert.deepEqual(decide(release([unchanged("a")]), ["a"]), accepted([]));
  assert.deepEqual(decide(release([unchanged("a")]), []), { kind: "changed", function: "a" });
  const other = release([unchanged("a"), { ...policy("b"), from: "r2" }]);
  assert.deepEqual(decide(other, ["a", "b"]), { kind: "changed", function: "b" });
});

test("nothing happens twice, nor to what has ended or is not there", () => {
  const of = (deployment?: DeploymentState) => decideRelease("acme", release([]), deployment, new Map(), []);
  assert.deepEqual(of(), { kind: "absent" });
  for (const state of ["done", "failed"] as const) assert.equal(of({ ...DEPLOYMENT, state }).kind, "ended");
  assert.equal(of({ ...DEPLOYMENT, state: "released" }).kind, "released");
});

test("only pruning removes, and only what is not named", () => {
  assert.deepEqual(decide(release([unchanged("b")], true), ["c", "b", "a"]), accepted(["a", "c"]));
  assert.deepEqual(decide(release([unchanged("b")]), ["c", "b", "a"]), accepted([]));
});

test("a claim passes from those that give theirs up: changing or removed, in this app of this tenant", () => {
  const wanted = release([policy("a", "/a"), policy("b")]);
  assert.deepEqual(claimsWanted(wanted), [CLAIM]);
  assert.equal(decide(wanted, ["a", "b"], [held("a")]).kind, "accepted");
  assert.equal(decide(wanted, ["a", "b"], [held("b")]).kind, "accepted");
  assert.equal(decide({ ...wanted, prune: true }, ["a", "b", "c"], [held("c")]).kind, "accepted");
  const refusal = (holder: object) => ({ kind: "claimed", function: "a", held: { claim: CLAIM, ...holder } });
  assert.deepEqual(decide(wanted, ["a", "b", "c"], [held("c")]), refusal({ holder: { app: "shop", function: "c" } }));
  const still = release([policy("a", "/a"), unchanged("b")]);
  assert.deepEqual(decide(still, ["a", "b"], [held("b")]), refusal({ holder: { app: "shop", function: "b" } }));
  assert.deepEqual(
    decide(wanted, ["a", "b"], [held("b", { app: "blog" })]),
    refusal({ holder: { app: "blog", function: "b" } }),
  );
  // Of another tenant's holder nothing is said.
  assert.deepEqual(decide(wanted, ["a", "b"], [held("b", { tenant: "umbrella" })]), refusal({}));
});

test("two of one release can't have the same claim", () => {
  const outcome = decide(release([policy("a", "/x", "/a"), policy("b", "/a")]), ["a", "b"]);
  const holder = { app: "shop", function: "a" };
  assert.deepEqual(outcome, { kind: "claimed", function: "b", held: { claim: CLAIM, holder } });
});

test("a released function keeps its age, and its split where only the policy changes", () => {
  const of = { tenant: "acme", app: "shop", function: "a" };
  const given = { revision: "r3", version: 8, atMs: 9 };
  const before = current("a");
  const changed = { ...before, version: 8, updatedAtMs: 9, policy: policyWith("/a") };
  assert.deepEqual(releasedFunction(of, before, policy("a", "/a"), given), changed);
  const { policy: config, ...rest } = CONFIG;
  const content = { source: "sha256:0", bundle: { digest: "sha256:1", bytes: 1 }, config: rest } as const;
  const fresh = { kind: "revision", function: "a", change: "created", content, policy: config } as const;
  const live = [{ revision: "r3", weight: 100 }];
  assert.deepEqual(releasedFunction(of, before, fresh, given), { ...changed, live, policy: config });
  assert.equal(releasedFunction(of, undefined, fresh, given).createdAtMs, 9);
});

test("old revisions go, but for those that callers get", () => {
  const live = current("a").live;
  assert.deepEqual(revisionsToForget(["r5", "r4", "r3", "r2", "r1", "r0"], live, 2), ["r3", "r0"]);
  assert.deepEqual(revisionsToForget(["r2", "r1"], [], 2), []);
});

test("a deletion wants what was seen, where something was", () => {
  assert.equal(decideDeletion(undefined, 3), "absent");
  assert.equal(decideDeletion(4, 3), "changed");
  assert.equal(decideDeletion(4, 4), "deleted");
  assert.equal(decideDeletion(4, undefined), "deleted");
});
