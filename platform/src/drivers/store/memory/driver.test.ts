import assert from "node:assert/strict";
import { test } from "node:test";
import { SUITE_LIMITS, storeConformance } from "#ports/store/conformance.ts";
import { createMemoryStore } from "./driver.ts";

storeConformance("memory", async () => {
  const make = () => createMemoryStore({ id: "suite", limits: SUITE_LIMITS });
  return { store: make(), again: make, remove: async () => {} };
});

test("it can be told to fail", async () => {
  const store = createMemoryStore({
    id: "suite",
    before: (method) => {
      if (method === "apps") throw new Error("cut off");
    },
  });
  await store.open(AbortSignal.timeout(1_000));
  await assert.rejects(store.apps("acme", { limit: 1 }), /cut off/);
  assert.deepEqual(await store.tenants(), []);
});
