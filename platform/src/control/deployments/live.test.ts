import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { FunctionRef } from "#contract/names.ts";
import { type Medium, makeMedium, startControl, type TestControlOptions } from "../control.fixture.ts";
import type { Settlement } from "../plan-server.ts";
import type { Subscriber } from "../plan-subscription.ts";

/** Gateways that confirm when the test says so. */
class Gateways {
  readonly #asked: { number: number; resolve: (settlement: Settlement) => void }[] = [];
  readonly #news: (() => void)[] = [];

  readonly settled = (number: number, signal: AbortSignal): Promise<Settlement> => {
    const { promise, resolve } = Promise.withResolvers<Settlement>();
    signal.addEventListener("abort", () => resolve({ kind: "unsettled", waitingFor: [] }));
    this.#asked.push({ number, resolve });
    for (const wake of this.#news.splice(0)) wake();
    return promise;
  };

  /** The oldest question that was not taken yet, as soon as there is one. */
  async asked(): Promise<{ number: number; resolve: (settlement: Settlement) => void }> {
    while (this.#asked.length === 0) await new Promise<void>((resolve) => this.#news.push(resolve));
    return this.#asked.shift()!;
  }
}

const SETTLED: Settlement = { kind: "settled" };
const gateway = (instance: string, pid: number): Subscriber => ({
  ...{ role: "gateway", instance, pid, topic: "routes", since: "2026-01-01T00:00:00.000Z" },
});

/** Control on this medium, with one function ready to be deployed; closed in the end. */
async function start(t: TestContext, medium: Medium, options: TestControlOptions = {}) {
  const gateways = new Gateways();
  const deps = { settled: gateways.settled, ...options.deps };
  const running = await startControl(medium, { ...options, deps });
  t.after(() => running.control.close());
  const { client } = running;
  const create = async (app: string, prune = false, name = "hello") => {
    const functions = { [name]: { config: CONFIG, source: await client.upload("code") } };
    return (await client.ask("createDeployment", { body: { app, functions, prune } })).body.id as string;
  };
  const textsOf = async (id: string) => (await running.store.events("default", id, 0, 100)).map(({ text }) => text);
  const deploy = async (app: string) => {
    const id = await create(app);
    (await gateways.asked()).resolve(SETTLED);
    return client.ended(id);
  };
  return { ...running, gateways, create, deploy, textsOf };
}

describe("a deployment ends when it is live", () => {
  test("released, it waits for the plans it made to be in effect", async (t) => {
    const { client, control, store, gateways, create, textsOf } = await start(t, await makeMedium("memory"));
    const id = await create("shop");
    const { number, resolve } = await gateways.asked();
    const { entries } = (await control.feed.changesSince("routes", 0))!;
    assert.equal(number, (await store.identity()).number);
    assert.deepEqual(
      entries.map(({ key }) => key),
      ["default/shop/hello"],
    );
    const { body } = await client.ask("getDeployment", { params: { id } });
    assert.deepEqual([body.state, body.finishedAt, body.functions[0].state], ["releasing", undefined, "done"]);
    assert.deepEqual(await textsOf(id), ["queued", "building", "copy", "releasing"]);
    resolve(SETTLED);
    assert.equal((await client.ended(id)).state, "done");
    assert.deepEqual(await textsOf(id), ["queued", "building", "copy", "releasing", "done", "done"]);
  });

  test("also when nothing changed: it may have been released by one that was not waited for", async (t) => {
    const { client, gateways, create, deploy } = await start(t, await makeMedium("memory"));
    await deploy("shop");
    const id = await create("shop");
    (await gateways.asked()).resolve(SETTLED);
    assert.equal((await client.ended(id)).functions[0]?.change, "unchanged");
  });

  for (const [waitingFor, line] of [
    [[], "Not live yet: no gateway is connected. It will be as soon as one is back."],
    [
      [gateway("gateway", 7), gateway("gateway-2", 8)],
      "Not live everywhere yet: not confirmed by gateway (process 7), gateway-2 (process 8). It will be as soon as they answer again.",
    ],
  ] as const)
    test(`gateways that do not confirm are told of, and it is done: ${waitingFor.length}`, async (t) => {
      const { client, gateways, create, textsOf } = await start(t, await makeMedium("memory"));
      const id = await create("shop");
      (await gateways.asked()).resolve({ kind: "unsettled", waitingFor });
      assert.equal((await client.ended(id)).state, "done");
      assert.deepEqual((await textsOf(id)).slice(-4), ["releasing", line, "done", "done"]);
    });

  test("what goes wrong after the release does not fail it: it is tried again", async (t) => {
    let failures = 2;
    const settled = async () => {
      if (failures-- > 0) throw new TypeError("undefined is not a gateway");
      return SETTLED;
    };
    const { client, create, logged } = await start(t, await makeMedium("memory"), { deps: { settled } });
    const done = await client.ended(await create("shop"));
    assert.deepEqual([done.state, done.functions[0]?.change], ["done", "created"]);
    assert.equal(logged.filter(({ message }) => message.startsWith("deployment interrupted")).length, 2);
  });
});

describe("a deletion is answered when nobody routes to the function any more", () => {
  for (const [operation, params] of [
    ["deleteFunction", { app: "shop", function: "hello" }],
    ["deleteApp", { app: "shop" }],
  ] as const)
    test(`${operation}; its history goes at once`, async (t) => {
      const order: string[] = [];
      const forget = async ({ function: name }: FunctionRef) => void order.push(`forgotten ${name}`);
      const logs = { async *read() {}, remove: forget };
      const medium = await makeMedium("memory");
      const { client, control, store, gateways, deploy } = await start(t, medium, { deps: { logs } });
      await deploy("shop");
      const answered = client.ask(operation, { params }).then(({ status }) => order.push(`answered ${status}`));
      const { number, resolve } = await gateways.asked();
      assert.equal(number, (await store.identity()).number);
      assert.deepEqual((await control.feed.snapshot("routes")).entries, []);
      await client.ask("listApps");
      order.push("confirmed");
      resolve(SETTLED);
      await answered;
      assert.deepEqual(order, ["forgotten hello", "confirmed", "answered 204"]);
    });

  test("when gateways do not confirm, it is answered all the same, and logged", async (t) => {
    const { client, gateways, deploy, logged } = await start(t, await makeMedium("memory"));
    await deploy("shop");
    const answered = client.ask("deleteApp", { params: { app: "shop" } });
    (await gateways.asked()).resolve({ kind: "unsettled", waitingFor: [gateway("gateway", 7)] });
    assert.equal((await answered).status, 204);
    const lines = logged.filter(({ message }) => message.startsWith("deleted, but not confirmed"));
    assert.deepEqual(
      lines.map(({ level, waitingFor }) => [level, waitingFor]),
      [["warn", ["gateway"]]],
    );
  });
});

describe("control that ends while a deployment waits", () => {
  test("leaves it to the next, which waits again and does nothing twice", async (t) => {
    const medium = await makeMedium("sqlite");
    t.after(() => medium.remove());
    const forgotten: string[] = [];
    const forget = async ({ function: name }: FunctionRef) => void forgotten.push(name);
    const deps = { logs: { async *read() {}, remove: forget } };
    const first = await start(t, medium, { deps });
    await first.deploy("shop");
    const id = await first.create("shop", true, "other");
    await first.gateways.asked();
    await first.control.close();

    const second = await start(t, medium, { deps });
    const { number, resolve } = await second.gateways.asked();
    assert.equal(number, second.control.feed.number());
    assert.equal((await second.store.deployment("default", id))?.finishedAtMs, undefined);
    assert.ok(!(await second.textsOf(id)).includes("done"));
    resolve(SETTLED);
    const done = await second.client.ended(id);
    assert.deepEqual(
      done.functions.map(({ function: name, change, revision }) => [name, change, revision]),
      [
        ["other", "created", "r1"],
        ["hello", "removed", undefined],
      ],
    );
    assert.deepEqual([forgotten.at(-1), second.builder.builds], ["hello", 0]);
    const texts = await second.textsOf(id);
    assert.deepEqual(texts, ["queued", "building", "copy", "releasing", "done", "done"]);
  });

  test("what is deleted before the next one takes it up stays deleted", async (t) => {
    const medium = await makeMedium("sqlite");
    t.after(() => medium.remove());
    const first = await start(t, medium);
    const id = await first.create("shop");
    await first.gateways.asked();
    const deleting = first.client.ask("deleteApp", { params: { app: "shop" } });
    (await first.gateways.asked()).resolve(SETTLED);
    await deleting;
    await first.control.close();
    const second = await start(t, medium);
    (await second.gateways.asked()).resolve(SETTLED);
    assert.equal((await second.client.ended(id)).state, "done");
    assert.equal((await second.client.ask("getApp", { params: { app: "shop" } })).status, 404);
  });
});
