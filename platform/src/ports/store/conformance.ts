import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import { PlatformError } from "#contract/errors.ts";
import type { ReleaseOutcome, Store, StoreLimits } from "./index.ts";
import { networking } from "./network-conformance.ts";
import { overriding } from "./overrides-conformance.ts";
import { content, create, deploy, digest, fresh, POLICY, queue, release, request, updated } from "./sample.ts";

export interface StoreFixture {
  /** Constructed with the limits below, not yet opened. */
  readonly store: Store;
  /** Another driver on the same medium, as after a restart; not yet opened. Asked for after the first was closed. */
  again(): Store;
  remove(): Promise<void>;
}

/** Small, so that a test reaches them. */
export const SUITE_LIMITS: StoreLimits = { revisions: 3, planChanges: 20, deployments: 2, events: 5 };

const SIGNAL = () => AbortSignal.timeout(10_000);

export function storeConformance(name: string, makeFixture: () => Promise<StoreFixture>): void {
  describe(`store conformance: ${name}`, () => {
    let fixture: StoreFixture;
    let store: Store;
    beforeEach(async () => {
      fixture = await makeFixture();
      store = fixture.store;
      await store.open(SIGNAL());
    });
    afterEach(async () => {
      await store.close();
      await fixture.remove();
    });
    const parts: Parts = {
      store: () => store,
      reopen: async () => {
        await store.close();
        store = fixture.again();
        await store.open(SIGNAL());
        return store;
      },
    };
    deploying(parts);
    releasing(parts);
    claiming(parts);
    deleting(parts);
    listing(parts);
    planning(parts);
    overriding(parts);
    networking(parts);
    living(parts, makeFixture);
  });
}

export interface Parts {
  readonly store: () => Store;
  readonly reopen: () => Promise<Store>;
}

function deploying({ store, reopen }: Parts): void {
  test("a deployment starts queued, makes progress, and its events are numbered from 1", async () => {
    await queue(store(), "D1", ["thumbnail"]);
    const events = [event("state", "building"), event("step", "bundle"), event("output", "ok")];
    assert.equal(await store().progress("acme", "D1", { atMs: 5, state: "building", attempts: 1, events }), true);
    const found = await store().deployment("acme", "D1");
    assert.equal(found?.state, "building");
    assert.equal(found.attempts, 1);
    assert.deepEqual(found.functions, [{ function: "thumbnail", state: "queued" }]);
    assert.deepEqual(found.request, request(["thumbnail"]));
    assert.equal(found.finishedAtMs, undefined);
    const read = await store().events("acme", "D1", 0, 10);
    assert.deepEqual(
      read.map(({ number, kind, text }) => [number, kind, text]),
      [
        [1, "state", "queued"],
        [2, "state", "building"],
        [3, "step", "bundle"],
        [4, "output", "ok"],
      ],
    );
    assert.deepEqual(
      (await store().events("acme", "D1", 2, 1)).map((one) => one.number),
      [3],
    );
  });

  test("a failed deployment has ended and takes no more progress, nor a release", async () => {
    await queue(store(), "D1", ["thumbnail"]);
    const failed = [
      { function: "thumbnail", state: "failed" as const, error: { code: "build-failed", message: "no" } },
    ];
    await store().progress("acme", "D1", {
      atMs: 7,
      state: "failed",
      functions: failed,
      events: [event("end", "failed")],
    });
    assert.equal(await store().progress("acme", "D1", { atMs: 8, state: "building" }), false);
    const found = await store().deployment("acme", "D1");
    assert.equal(found?.finishedAtMs, 7);
    assert.deepEqual(found.functions, failed);
    assert.deepEqual(await store().unfinishedDeployments("acme"), []);
    assert.equal((await store().release("acme", release("D1", [fresh("thumbnail")]))).kind, "ended");
    assert.equal(await store().function("acme", "shop", "thumbnail"), undefined);
  });

  test("an idempotency key gives the same deployment again, and refuses another request", async () => {
    const idempotency = { key: "k", request: "one" };
    assert.equal((await create(store(), "D1", { idempotency })).kind, "created");
    const again = await create(store(), "D2", { idempotency });
    assert.deepEqual([again.kind, again.kind === "repeated" && again.deployment.id], ["repeated", "D1"]);
    const other = await create(store(), "D3", { idempotency: { key: "k", request: "two" } });
    assert.deepEqual(other, { kind: "mismatch", id: "D1" });
    assert.deepEqual(await store().knownDeployment("acme", { key: "k", request: "two" }), other);
    assert.deepEqual(await store().knownDeployment("acme", idempotency), again);
    assert.equal(await store().knownDeployment("acme", { key: "unused", request: "one" }), undefined);
    assert.equal((await create(store(), "D4", { tenant: "other", idempotency })).kind, "created");
    assert.deepEqual(
      (await store().deployments("acme", { limit: 9 })).map((one) => one.id),
      ["D1"],
    );
  });

  test("unfinished deployments come oldest first, also after a restart", async () => {
    for (const id of ["D2", "D1", "D3"]) await create(store(), id);
    await store().progress("acme", "D2", { atMs: 1, state: "failed" });
    const after = store().capabilities.durable ? await reopen() : store();
    assert.deepEqual(
      (await after.unfinishedDeployments("acme")).map((one) => one.id),
      ["D1", "D3"],
    );
    assert.deepEqual(await after.unfinishedDeployments("other"), []);
  });

  test("output beyond the limit is left out with a note; how it went is kept", async () => {
    await create(store(), "D1");
    const output = Array.from({ length: 8 }, (_, index) => event("output", `line ${index}`));
    await store().progress("acme", "D1", { atMs: 1, events: output });
    await store().progress("acme", "D1", { atMs: 2, events: [...output, event("state", "releasing")] });
    const texts = (await store().events("acme", "D1", 1, 100)).map((one) => one.text);
    assert.deepEqual(texts, ["line 0", "line 1", "line 2", "line 3", "Further output is not kept.", "releasing"]);
  });

  test("of an app's ended deployments the newest are kept, with their events; running ones all", async () => {
    for (const id of ["D1", "D2", "D3", "D4", "D5"]) {
      await create(store(), id);
      if (id !== "D1") await store().progress("acme", id, { atMs: 1, state: "failed" });
    }
    await create(store(), "D6");
    assert.deepEqual(
      (await store().deployments("acme", { limit: 9 })).map((one) => one.id),
      ["D6", "D5", "D4", "D1"],
    );
    assert.deepEqual(await store().events("acme", "D2", 0, 9), []);
  });
}

function releasing({ store, reopen }: Parts): void {
  test("a release makes revision, alias and policy at once, and all is there after a restart", async () => {
    await queue(store(), "D1", ["thumbnail", "summary"]);
    const outcome = await store().release("acme", release("D1", [fresh("thumbnail"), fresh("summary")]));
    assert.equal(outcome.kind, "released");
    const after = store().capabilities.durable ? await reopen() : store();
    const found = await after.function("acme", "shop", "thumbnail");
    assert.deepEqual(found?.live, [{ revision: "r1", weight: 100 }]);
    assert.deepEqual(found.policy, POLICY);
    assert.deepEqual([found.createdAtMs, found.updatedAtMs], [100, 100]);
    const revision = await after.revision("acme", "shop", "thumbnail", "r1");
    assert.deepEqual(revision, {
      ...{ tenant: "acme", app: "shop", function: "thumbnail", revision: "r1", createdAtMs: 100 },
      ...content("thumbnail"),
    });
    const deployment = await after.deployment("acme", "D1");
    assert.deepEqual([deployment?.state, deployment?.finishedAtMs], ["released", undefined]);
    const bundle = content("thumbnail").bundle;
    assert.deepEqual(deployment?.functions[0], {
      function: "thumbnail",
      state: "done",
      change: "created",
      revision: "r1",
      bundle,
    });
    assert.deepEqual(await after.app("acme", "shop"), {
      ...{
        tenant: "acme",
        app: "shop",
        network: { kind: "internet" },
        functions: 2,
        createdAtMs: 100,
        updatedAtMs: 100,
      },
    });
  });

  test("what was released is a job until it is done, and can be nothing else; only that can be done", async () => {
    await queue(store(), "D1", ["thumbnail"]);
    assert.equal(await store().progress("acme", "D1", { atMs: 90, state: "done" }), false);
    await store().release("acme", release("D1", [fresh("thumbnail")]));
    for (const state of ["queued", "building", "releasing", "failed"] as const)
      assert.equal(await store().progress("acme", "D1", { atMs: 101, state, events: [event("end", "no")] }), false);
    assert.equal(await store().progress("acme", "D1", { atMs: 101, events: [event("step", "waiting")] }), true);
    const after = store().capabilities.durable ? await reopen() : store();
    const [job] = await after.unfinishedDeployments("acme");
    assert.deepEqual([job?.id, job?.state, job?.functions[0]?.change], ["D1", "released", "created"]);
    assert.equal(
      await after.progress("acme", "D1", { atMs: 102, state: "done", events: [event("end", "done")] }),
      true,
    );
    const done = await after.deployment("acme", "D1");
    assert.deepEqual([done?.state, done?.finishedAtMs], ["done", 102]);
    assert.deepEqual(await after.unfinishedDeployments("acme"), []);
    const texts = (await after.events("acme", "D1", 0, 9)).map((one) => one.text);
    assert.deepEqual(texts, ["queued", "waiting", "done"]);
  });

  test("released twice, it takes effect once, before its end and after", async () => {
    await queue(store(), "D1", ["thumbnail"]);
    const first = await store().release("acme", release("D1", [fresh("thumbnail")]));
    const before = await store().identity();
    assert.deepEqual(await store().release("acme", release("D1", [fresh("thumbnail")])), first);
    await store().progress("acme", "D1", { atMs: 101, state: "done" });
    assert.equal((await store().release("acme", release("D1", [fresh("thumbnail")]))).kind, "ended");
    assert.deepEqual(await store().identity(), before);
    assert.equal((await store().revisions("acme", "shop", "thumbnail", { limit: 9 })).length, 1);
  });

  test("a policy changes without a revision; what is unchanged stays as it was", async () => {
    await deploy(store(), "D1", [fresh("thumbnail"), fresh("summary")]);
    const before = await store().function("acme", "shop", "summary");
    const policy = { ...POLICY, limits: { bodyBytes: 7 } };
    const outcome = await deploy(store(), "D2", [
      { kind: "policy", function: "thumbnail", from: "r1", policy },
      { kind: "unchanged", function: "summary", from: "r1" },
    ]);
    assert.deepEqual(changes(outcome), { thumbnail: "policy r1", summary: "unchanged r1" });
    const found = await store().function("acme", "shop", "thumbnail");
    assert.deepEqual(found?.policy, policy);
    assert.deepEqual(found.live, [{ revision: "r1", weight: 100 }]);
    assert.deepEqual(await store().function("acme", "shop", "summary"), before);
  });

  test("a release decided on what is no longer so changes nothing", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    await deploy(store(), "D2", [updated("thumbnail", "r1")]);
    for (const stale of [
      fresh("thumbnail"),
      updated("thumbnail", "r1"),
      { kind: "unchanged", function: "thumbnail", from: "r1" } as const,
      { kind: "policy", function: "gone", from: "r1", policy: POLICY } as const,
    ]) {
      const before = await store().identity();
      const outcome = await deploy(store(), `S-${stale.kind}-${"from" in stale}-${stale.function}`, [
        fresh("summary"),
        stale,
      ]);
      assert.deepEqual(outcome, { kind: "changed", function: stale.function });
      assert.deepEqual(await store().identity(), before);
      assert.equal(await store().function("acme", "shop", "summary"), undefined);
    }
  });

  test("a release of an unknown deployment is absent", async () => {
    assert.deepEqual(await store().release("acme", release("nope", [fresh("thumbnail")])), { kind: "absent" });
    await queue(store(), "D1", ["thumbnail"]);
    assert.deepEqual(await store().release("other", release("D1", [fresh("thumbnail")])), { kind: "absent" });
  });

  test("pruning removes the app's functions that are not named", async () => {
    await deploy(store(), "D1", [fresh("thumbnail"), fresh("summary"), fresh("zip")]);
    await deploy(store(), "D9", [fresh("summary")], { app: "other" });
    const outcome = await deploy(store(), "D2", [{ kind: "unchanged", function: "thumbnail", from: "r1" }], {
      prune: true,
    });
    assert.deepEqual(changes(outcome), { thumbnail: "unchanged r1", summary: "removed", zip: "removed" });
    assert.deepEqual(await names(store(), "shop"), ["thumbnail"]);
    assert.deepEqual(await names(store(), "other"), ["summary"]);
  });

  test("old revisions go, those of live stay, and numbers go on", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    for (let number = 2; number <= 5; number++)
      await deploy(store(), `D${number}`, [updated("thumbnail", `r${number - 1}`, `v${number}`)]);
    const kept = await store().revisions("acme", "shop", "thumbnail", { limit: 9 });
    assert.deepEqual(
      kept.map((one) => one.revision),
      ["r5", "r4", "r3"],
    );
    const page = await store().revisions("acme", "shop", "thumbnail", { limit: 1, before: 5 });
    assert.deepEqual(
      page.map((one) => one.revision),
      ["r4"],
    );
    assert.equal(await store().revision("acme", "shop", "thumbnail", "r1"), undefined);
  });

  test("what revisions and running deployments need is referenced, the rest is not", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    await queue(store(), "D2", ["summary"]);
    const built = digest("built for D2");
    const functions = [{ function: "summary", state: "building" as const, bundle: { digest: built, bytes: 1 } }];
    await store().progress("acme", "D2", { atMs: 1, state: "building", functions });
    const { source, bundle } = content("thumbnail");
    const wanted = [source, bundle.digest, content("summary").source, built].sort();
    assert.deepEqual((await store().referencedDigests("acme")).sort(), wanted);
    await store().progress("acme", "D2", { atMs: 2, state: "failed" });
    assert.deepEqual((await store().referencedDigests("acme")).sort(), [source, bundle.digest].sort());
    assert.deepEqual(await store().referencedDigests("other"), []);
  });
}

function claiming({ store }: Parts): void {
  const claim = { method: "GET", host: "", path: "/thumb/{}" };
  const asking = (http: string) => ({ ...POLICY, triggers: [{ http }] });

  test("a claim is held by one function alone; the release that would take it changes nothing", async () => {
    await deploy(store(), "D1", [fresh("thumbnail", asking("GET /thumb/{id}"))]);
    const outcome = await deploy(store(), "D2", [fresh("a"), fresh("b", asking("GET /thumb/{name}"))], {
      app: "other",
    });
    const held = { claim, holder: { app: "shop", function: "thumbnail" } };
    assert.deepEqual(outcome, { kind: "claimed", function: "b", held });
    assert.deepEqual(await names(store(), "other"), []);
    assert.deepEqual(await store().claimed("acme", "other", [claim]), [held]);
    assert.deepEqual(await store().claimed("acme", "shop", [claim]), []);
    assert.deepEqual(await store().claimed("acme", "other", [{ ...claim, method: "POST" }]), []);
  });

  test("another tenant's holder is not named", async () => {
    await deploy(store(), "D1", [fresh("thumbnail", asking("GET /thumb/{id}"))]);
    const outcome = await deploy(store(), "D2", [fresh("mine", asking("GET /thumb/{id}"))], { tenant: "rival" });
    assert.deepEqual(outcome, { kind: "claimed", function: "mine", held: { claim } });
  });

  test("two functions of one release can't claim the same, but may pass a claim on", async () => {
    const both = [fresh("a", asking("/x")), fresh("b", asking("/x"))];
    assert.equal((await deploy(store(), "D1", both)).kind, "claimed");
    assert.deepEqual(await names(store(), "shop"), []);
    await deploy(store(), "D2", [fresh("a", asking("/x")), fresh("b", asking("/y"))]);
    const swapped = await deploy(store(), "D3", [
      { kind: "policy", function: "a", from: "r1", policy: asking("/y") },
      { kind: "policy", function: "b", from: "r1", policy: asking("/x") },
    ]);
    assert.equal(swapped.kind, "released");
  });

  test("a policy without a claim, and a deletion, give it up", async () => {
    await deploy(store(), "D1", [fresh("a", asking("/x"))]);
    await deploy(store(), "D2", [{ kind: "policy", function: "a", from: "r1", policy: POLICY }]);
    assert.equal((await deploy(store(), "D3", [fresh("b", asking("/x"))])).kind, "released");
    await store().deleteFunction("acme", "shop", "b");
    assert.equal((await deploy(store(), "D4", [fresh("c", asking("/x"))])).kind, "released");
    const pruned = await deploy(store(), "D5", [fresh("d", asking("/x"))], { prune: true });
    assert.equal(pruned.kind, "released");
  });
}

function deleting({ store }: Parts): void {
  test("a function is deleted once, and only in the version that was expected", async () => {
    await deploy(store(), "D1", [fresh("thumbnail"), fresh("summary")]);
    const { version } = (await store().function("acme", "shop", "thumbnail"))!;
    assert.equal(await store().deleteFunction("acme", "shop", "thumbnail", version + 1), "changed");
    assert.equal(await store().deleteFunction("other", "shop", "thumbnail"), "absent");
    assert.equal(await store().deleteFunction("acme", "shop", "thumbnail", version), "deleted");
    assert.equal(await store().deleteFunction("acme", "shop", "thumbnail"), "absent");
    assert.deepEqual(await names(store(), "shop"), ["summary"]);
    assert.deepEqual(await store().revisions("acme", "shop", "thumbnail", { limit: 9 }), []);
  });

  test("made again, a function goes on with revision numbers and has another version", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    const before = await store().function("acme", "shop", "thumbnail");
    await store().deleteFunction("acme", "shop", "thumbnail");
    await deploy(store(), "D2", [fresh("thumbnail")]);
    const after = await store().function("acme", "shop", "thumbnail");
    assert.deepEqual(after?.live, [{ revision: "r2", weight: 100 }]);
    assert.ok(after.version > before!.version);
  });

  test("an app is deleted with its functions, and no other's", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    await deploy(store(), "D2", [fresh("thumbnail")], { app: "shop-2" });
    await deploy(store(), "D3", [fresh("thumbnail")], { tenant: "other" });
    assert.equal(await store().deleteApp("acme", "shop"), true);
    assert.equal(await store().deleteApp("acme", "shop"), false);
    assert.equal(await store().app("acme", "shop"), undefined);
    assert.equal(await store().function("acme", "shop", "thumbnail"), undefined);
    assert.deepEqual(await names(store(), "shop-2"), ["thumbnail"]);
    assert.deepEqual((await store().functions("other", "shop", { limit: 9 })).length, 1);
  });
}

function listing({ store }: Parts): void {
  test("apps and functions come by name, page by page, each tenant's own", async () => {
    await deploy(store(), "D1", [fresh("c"), fresh("a"), fresh("b")]);
    await deploy(store(), "D2", [fresh("x")], { app: "b-app" });
    await deploy(store(), "D3", [fresh("x")], { app: "a-app" });
    await deploy(store(), "D4", [fresh("x")], { app: "other-app", tenant: "other" });
    const first = await store().functions("acme", "shop", { limit: 2 });
    assert.deepEqual(
      first.map((one) => one.function),
      ["a", "b"],
    );
    const rest = await store().functions("acme", "shop", { limit: 2, after: "b" });
    assert.deepEqual(
      rest.map((one) => one.function),
      ["c"],
    );
    const apps = await store().apps("acme", { limit: 9 });
    assert.deepEqual(
      apps.map((one) => [one.app, one.functions]),
      [
        ["a-app", 1],
        ["b-app", 1],
        ["shop", 3],
      ],
    );
    assert.deepEqual(
      (await store().apps("acme", { limit: 9, after: "b-app" })).map((one) => one.app),
      ["shop"],
    );
    assert.deepEqual(await store().tenants(), ["acme", "other"]);
  });

  test("deployments come newest first, of all apps or of one", async () => {
    for (const [id, app] of [
      ["D1", "shop"],
      ["D2", "blog"],
      ["D3", "shop"],
    ] as const)
      await create(store(), id, { app });
    const ids = async (page: { app?: string; before?: string; limit: number }) =>
      (await store().deployments("acme", page)).map((one) => one.id);
    assert.deepEqual(await ids({ limit: 2 }), ["D3", "D2"]);
    assert.deepEqual(await ids({ limit: 2, before: "D2" }), ["D1"]);
    assert.deepEqual(await ids({ limit: 9, app: "shop" }), ["D3", "D1"]);
  });
}

function planning({ store, reopen }: Parts): void {
  test("each change takes the next number; a reader who follows sees each key's newest state once", async () => {
    const start = await store().identity();
    assert.equal(start.number, 0);
    await deploy(store(), "D1", [fresh("thumbnail")]);
    const one = (await store().plansSince("routes", 0))!;
    assert.equal(one.number, (await store().identity()).number);
    assert.deepEqual(planKeys(one.entries), ["thumbnail"]);
    assert.deepEqual(await store().plansSince("routes", one.number), { number: one.number, entries: [] });

    await deploy(store(), "D2", [updated("thumbnail", "r1")]);
    await deploy(store(), "D3", [updated("thumbnail", "r2", "v3")]);
    const routes = (await store().plansSince("routes", one.number))!;
    assert.ok(routes.number > one.number);
    assert.deepEqual(planKeys(routes.entries), ["thumbnail"]);
    const entry = routes.entries[0]!;
    assert.ok(entry.topic === "routes" && entry.state !== undefined);
    assert.deepEqual(entry.state.function, await store().function("acme", "shop", "thumbnail"));
    assert.deepEqual(
      entry.state.revisions.map((revision) => revision.revision),
      ["r3"],
    );
    assert.deepEqual(planKeys((await store().plansSince("launches", one.number))!.entries), [
      "thumbnail@r2",
      "thumbnail@r3",
    ]);
    assert.deepEqual(planKeys((await store().plansNow("launches")).entries), [
      "thumbnail@r1",
      "thumbnail@r2",
      "thumbnail@r3",
    ]);
  });

  test("a revision's number comes before the one of the plan that routes to it", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    const launches = (await store().plansSince("launches", 0))!;
    const { version } = (await store().function("acme", "shop", "thumbnail"))!;
    assert.deepEqual(planKeys((await store().plansSince("launches", version - 1))!.entries), []);
    assert.equal(version, launches.number);
  });

  test("what is deleted or forgotten is gone from the plans, and those who follow are told", async () => {
    await deploy(store(), "D1", [fresh("thumbnail"), fresh("summary")]);
    for (let number = 2; number <= 4; number++)
      await deploy(store(), `D${number}`, [updated("summary", `r${number - 1}`, `v${number}`)]);
    const before = (await store().identity()).number;
    await store().deleteFunction("acme", "shop", "thumbnail");
    const routes = (await store().plansSince("routes", before))!;
    assert.deepEqual(routes.entries, [
      { topic: "routes", key: { tenant: "acme", app: "shop", function: "thumbnail" } },
    ]);
    const launches = (await store().plansSince("launches", 0))!;
    const gone = launches.entries.filter((entry) => entry.state === undefined);
    assert.deepEqual(planKeys(gone), ["summary@r1", "thumbnail@r1"]);
    assert.deepEqual(planKeys((await store().plansNow("routes")).entries), ["summary"]);
    assert.deepEqual(planKeys((await store().plansNow("launches")).entries), [
      "summary@r2",
      "summary@r3",
      "summary@r4",
    ]);
  });

  test("who is too far behind, or ahead, can't be told what changed", async () => {
    await deploy(store(), "D0", [fresh("thumbnail")]);
    await store().deleteFunction("acme", "shop", "thumbnail");
    const gone = (await store().identity()).number;
    await deploy(store(), "E1", [fresh("summary")]);
    for (let number = 2; number <= 8; number++)
      await deploy(store(), `E${number}`, [updated("summary", `r${number - 1}`, `v${number}`)]);
    const after = store().capabilities.durable ? await reopen() : store();
    const newest = (await after.identity()).number;
    assert.equal(await after.plansSince("routes", 0), undefined);
    assert.notEqual(await after.plansSince("routes", gone), undefined);
    assert.equal(await after.plansSince("routes", newest + 1), undefined);
  });
}

function living({ store, reopen }: Parts, makeFixture: () => Promise<StoreFixture>): void {
  test("identity stays, numbers go on", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    const before = await store().identity();
    if (!store().capabilities.durable) return;
    const after = await reopen();
    assert.deepEqual(await after.identity(), before);
    await deploy(after, "D2", [updated("thumbnail", "r1")]);
    assert.ok((await after.identity()).number > before.number);
  });

  test("calls at the same time each take effect", async () => {
    const ids = Array.from({ length: 20 }, (_, index) => `D${index + 10}`);
    const outcomes = await Promise.all(ids.map((id) => deploy(store(), id, [fresh(`f-${id.toLowerCase()}`)])));
    assert.deepEqual(new Set(outcomes.map((outcome) => outcome.kind)), new Set(["released"]));
    assert.equal((await names(store(), "shop")).length, 20);
  });

  test("names that only look alike stay apart", async () => {
    await deploy(store(), "D1", [fresh("a")], { app: "b" });
    await deploy(store(), "D2", [fresh("a-b")], { app: "a" });
    assert.deepEqual(await names(store(), "a"), ["a-b"]);
    assert.deepEqual(await names(store(), "b"), ["a"]);
    assert.deepEqual(await store().functions("b", "a", { limit: 9 }), []);
  });

  test("closed, it refuses calls; close works twice and before open", async () => {
    await store().close();
    await store().close();
    await assert.rejects(
      store().tenants(),
      (error) => error instanceof PlatformError && error.code === "store-unavailable",
    );
    const other = await makeFixture();
    await other.store.close();
    await assert.rejects(other.store.open(AbortSignal.abort(new Error("stopped"))), /stopped/);
    await other.store.close();
    await other.remove();
  });
}

function event(kind: "state" | "step" | "output" | "end", text: string) {
  return { atMs: 3, kind, text };
}

async function names(store: Store, app: string): Promise<string[]> {
  return (await store.functions("acme", app, { limit: 100 })).map((one) => one.function);
}

function changes(outcome: ReleaseOutcome): Record<string, string> {
  assert.equal(outcome.kind, "released");
  const { functions } = (outcome as ReleaseOutcome & { kind: "released" }).deployment;
  return Object.fromEntries(
    functions.map((one) => [one.function, [one.change, one.revision].filter((part) => part !== undefined).join(" ")]),
  );
}

function planKeys(entries: readonly { key: { function: string; revision?: string } }[]): string[] {
  return entries
    .map(({ key }) => (key.revision === undefined ? key.function : `${key.function}@${key.revision}`))
    .sort();
}
