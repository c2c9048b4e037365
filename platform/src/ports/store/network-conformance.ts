import assert from "node:assert/strict";
import { test } from "node:test";
import { INTERNET, type NetworkPolicy } from "#contract/network/policy.ts";
import type { Parts } from "./conformance.ts";
import type { FunctionRelease, PlanReading, Store } from "./index.ts";
import { fresh, queue, release, updated, type Where } from "./sample.ts";

const NONE: NetworkPolicy = { kind: "none" };
const LIST: NetworkPolicy = { kind: "allow", hosts: ["*.example.com:443", "203.0.113.0/24"] };

async function deployWith(
  store: Store,
  id: string,
  network: NetworkPolicy | undefined,
  functions: readonly FunctionRelease[],
  where: Where = {},
): Promise<void> {
  const names = functions.map((one) => one.function);
  await queue(store, id, names, where);
  const outcome = await store.release(where.tenant ?? "acme", { ...release(id, functions, where), network });
  assert.equal(outcome.kind, "released");
  await store.progress(where.tenant ?? "acme", id, { atMs: 101, state: "done" });
}

/** `function@revision` with the policy in its plan; undefined of one that is gone. */
function networksOf({ entries }: PlanReading): [string, NetworkPolicy | undefined][] {
  return entries
    .flatMap((entry) => (entry.topic === "launches" ? [entry] : []))
    .map(({ key, state }): [string, NetworkPolicy | undefined] => [`${key.function}@${key.revision}`, state?.network])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

const unchanged = (name: string, from: string): FunctionRelease => ({ kind: "unchanged", function: name, from });

export function networking({ store, reopen }: Parts): void {
  test("an app has the internet until a release says otherwise, and keeps what was said, also after a restart", async () => {
    const network = async (from = store()) => (await from.app("acme", "shop"))?.network;
    await deployWith(store(), "D1", undefined, [fresh("thumbnail")]);
    assert.deepEqual(await network(), INTERNET);
    await deployWith(store(), "D2", LIST, [unchanged("thumbnail", "r1")]);
    assert.deepEqual(await network(), LIST);
    await deployWith(store(), "D3", undefined, [updated("thumbnail", "r1")]);
    assert.deepEqual(await network(), LIST);
    assert.deepEqual(
      (await store().apps("acme", { limit: 9 })).map((app) => app.network),
      [LIST],
    );
    if (store().capabilities.durable) assert.deepEqual(await network(await reopen()), LIST);
  });

  test("a change of the network is a change of the plan of every revision of the app, and of no other app's", async () => {
    await deployWith(store(), "D1", NONE, [fresh("thumbnail"), fresh("summary")]);
    await deployWith(store(), "D2", undefined, [updated("thumbnail", "r1")]);
    await deployWith(store(), "E1", undefined, [fresh("thumbnail")], { app: "shop2" });
    await deployWith(store(), "F1", undefined, [fresh("thumbnail")], { tenant: "other" });
    const before = (await store().identity()).number;
    assert.deepEqual(networksOf((await store().plansSince("launches", 0))!), [
      ["summary@r1", NONE],
      ["thumbnail@r1", NONE],
      ["thumbnail@r1", INTERNET],
      ["thumbnail@r1", INTERNET],
      ["thumbnail@r2", NONE],
    ]);
    await deployWith(store(), "D3", LIST, [unchanged("summary", "r1")]);
    const changed = (await store().plansSince("launches", before))!;
    assert.deepEqual(networksOf(changed), [
      ["summary@r1", LIST],
      ["thumbnail@r1", LIST],
      ["thumbnail@r2", LIST],
    ]);
    assert.deepEqual(await store().plansSince("routes", before), { number: changed.number, entries: [] });
    assert.equal(changed.number, before + 3);
  });

  test("what says the same again changes no plan; what is new and pruned with a change is as it is after it", async () => {
    await deployWith(store(), "D1", LIST, [fresh("thumbnail"), fresh("summary")]);
    const before = (await store().identity()).number;
    await deployWith(store(), "D2", structuredClone(LIST), [unchanged("thumbnail", "r1"), unchanged("summary", "r1")]);
    assert.equal((await store().identity()).number, before);
    await deployWith(store(), "D3", NONE, [updated("thumbnail", "r1")], { prune: true });
    assert.deepEqual(networksOf((await store().plansSince("launches", before))!), [
      ["summary@r1", undefined],
      ["thumbnail@r1", NONE],
      ["thumbnail@r2", NONE],
    ]);
  });

  test("a release that is refused leaves the network; an app that was deleted and made again starts anew", async () => {
    await deployWith(store(), "D1", NONE, [fresh("thumbnail")]);
    await queue(store(), "D2", ["thumbnail"]);
    const outdated = { ...release("D2", [updated("thumbnail", "r7")]), network: INTERNET };
    assert.equal((await store().release("acme", outdated)).kind, "changed");
    assert.deepEqual((await store().app("acme", "shop"))?.network, NONE);
    await store().deleteFunction("acme", "shop", "thumbnail");
    assert.deepEqual((await store().app("acme", "shop"))?.network, NONE);
    await store().deleteApp("acme", "shop");
    await deployWith(store(), "D3", undefined, [fresh("thumbnail")]);
    assert.deepEqual((await store().app("acme", "shop"))?.network, INTERNET);
  });
}
