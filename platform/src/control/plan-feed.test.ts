import assert from "node:assert/strict";
import { test } from "node:test";
import { planProblem } from "#contract/plan/plan.ts";
import { createMemoryStore } from "#drivers/store/memory/driver.ts";
import { deploy, fresh, updated } from "#ports/store/sample.ts";
import { StorePlanFeed } from "./plan-feed.ts";

async function opened() {
  const store = createMemoryStore({ id: "store-1" });
  await store.open(AbortSignal.timeout(1_000));
  const feed = new StorePlanFeed(store);
  await feed.open();
  return { store, feed };
}

test("a number is announced only when it can be read, and once", async () => {
  const { store, feed } = await opened();
  const announced: number[] = [];
  feed.onChange(() => announced.push(feed.number()));
  await feed.refresh();
  assert.deepEqual(announced, []);
  await deploy(store, "D1", [fresh("thumbnail")]);
  assert.equal(feed.number(), 0);
  await Promise.all([feed.refresh(), feed.refresh()]);
  assert.equal(announced.length, 1);
  const changes = (await feed.changesSince("routes", 0))!;
  assert.equal(changes.number, feed.number());
  assert.equal(changes.entries.length, 1);
});

test("what it gives are plans as the contract has them, in both ways of asking", async () => {
  const { store, feed } = await opened();
  await deploy(store, "D1", [fresh("thumbnail"), fresh("summary")]);
  await deploy(store, "D2", [updated("thumbnail", "r1")]);
  await feed.refresh();
  for (const topic of ["routes", "launches"] as const) {
    const { entries, number } = await feed.snapshot(topic);
    assert.equal(number, feed.number());
    assert.equal(entries.length, topic === "routes" ? 2 : 3);
    for (const entry of entries) {
      assert.ok(entry.kind === "put");
      assert.equal(planProblem(topic, entry.key, entry.plan), undefined);
    }
    assert.deepEqual(new Set((await feed.changesSince(topic, 0))!.entries), new Set(entries));
  }
});

test("its store is named after the store, and after how plans are computed", async () => {
  const { feed } = await opened();
  assert.equal(feed.store, "store-1.2");
});
