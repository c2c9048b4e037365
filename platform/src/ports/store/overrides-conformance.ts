import assert from "node:assert/strict";
import { test } from "node:test";
import type { OverridesChange } from "#domain/function/overrides.ts";
import type { Parts } from "./conformance.ts";
import type { Store } from "./index.ts";
import { content, deploy, fresh, POLICY, updated } from "./sample.ts";

const NONE = { app: {}, functions: {} };

/** Queues a deployment that brings the change along. */
function change(store: Store, id: string, overrides: OverridesChange, more: { key?: string; app?: string } = {}) {
  const { key, app = "shop" } = more;
  const idempotency = key === undefined ? undefined : { key, request: JSON.stringify(overrides) };
  const request = { app, functions: {}, reconfigure: {} };
  return store.createDeployment("acme", { id, app, request, overrides, warnings: [], createdAtMs: 1, idempotency });
}

export function overriding({ store, reopen }: Parts): void {
  test("what is set beside colibri.yaml is there with the deployment that brings it, also after a restart", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    assert.deepEqual(await store().overrides("acme", "shop"), NONE);
    await change(store(), "D2", { set: { A: "1", B: "2" }, unset: [] });
    await change(store(), "D3", { function: "thumbnail", set: { A: "3" }, unset: [] });
    await change(store(), "D4", { set: {}, unset: ["B"] });
    const expected = { app: { A: "1" }, functions: { thumbnail: { A: "3" } } };
    assert.deepEqual(await store().overrides("acme", "shop"), expected);
    assert.deepEqual((await store().deployment("acme", "D2"))?.request.reconfigure, {});
    assert.deepEqual(await store().overrides("other", "shop"), NONE);
    assert.deepEqual(await store().overrides("acme", "shop2"), NONE);
    if (store().capabilities.durable) assert.deepEqual(await (await reopen()).overrides("acme", "shop"), expected);
  });

  test("an idempotency key that is known changes nothing again", async () => {
    await deploy(store(), "D1", [fresh("thumbnail")]);
    const set = { set: { A: "1" }, unset: [] };
    assert.equal((await change(store(), "D2", set, { key: "k" })).kind, "created");
    await change(store(), "D3", { set: { A: "2" }, unset: [] });
    assert.equal((await change(store(), "D4", set, { key: "k" })).kind, "repeated");
    assert.equal((await change(store(), "D5", { set: { A: "9" }, unset: [] }, { key: "k" })).kind, "mismatch");
    assert.deepEqual((await store().overrides("acme", "shop")).app, { A: "2" });
  });

  test("it goes with the function, pruned or deleted, and with the app", async () => {
    await deploy(store(), "D1", [fresh("thumbnail"), fresh("summary"), fresh("invoice")]);
    for (const [id, name] of [
      ["D2", "thumbnail"],
      ["D3", "summary"],
      ["D4", "invoice"],
    ] as const)
      await change(store(), id, { function: name, set: { A: name }, unset: [] });
    await change(store(), "D5", { set: { B: "2" }, unset: [] });
    await store().deleteFunction("acme", "shop", "thumbnail");
    await deploy(store(), "D6", [updated("invoice", "r1")], { prune: true });
    assert.deepEqual(await store().overrides("acme", "shop"), {
      app: { B: "2" },
      functions: { invoice: { A: "invoice" } },
    });
    await store().deleteApp("acme", "shop");
    assert.deepEqual(await store().overrides("acme", "shop"), NONE);
    await change(store(), "D7", { set: { C: "3" }, unset: [] });
    assert.deepEqual(await store().overrides("acme", "shop"), NONE, "of an app that is gone");
  });

  test("a revision knows the environment of colibri.yaml, where it runs with another", async () => {
    const declared = { GREETING: "hi" };
    const release = { ...fresh("thumbnail"), content: { ...content("thumbnail"), declared }, policy: POLICY };
    await deploy(store(), "D1", [release as ReturnType<typeof fresh>, fresh("summary")]);
    assert.deepEqual((await store().revision("acme", "shop", "thumbnail", "r1"))?.declared, declared);
    assert.equal((await store().revision("acme", "shop", "summary", "r1"))?.declared, undefined);
  });

  test("a deployment tells which variables are overridden", async () => {
    const outcome = await deploy(store(), "D1", [{ ...fresh("thumbnail"), overridden: ["A"] }, fresh("summary")]);
    assert.ok(outcome.kind === "released");
    assert.deepEqual(
      outcome.deployment.functions.map((one) => one.overridden),
      [["A"], undefined],
    );
  });
}
