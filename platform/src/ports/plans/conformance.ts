import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { RoutePlan } from "#contract/plan/plan.ts";
import type { RoutePlans } from "./plans.ts";

/** What the suite needs beside the port: to be the one who changes plans. */
export interface PlansFixture {
  /** Constructed, not yet opened, nothing to read yet. */
  readonly plans: RoutePlans;
  /** From the first call on there is something to read. Resolve when a reader can see the change. */
  put(key: string, plan: RoutePlan): Promise<void>;
  remove(key: string): Promise<void>;
  replace(plans: ReadonlyMap<string, RoutePlan>): Promise<void>;
  /** A moment for what `open` does to get going. */
  settle(): Promise<void>;
  dispose(): Promise<void>;
}

export const routePlanOf = (name: string, concurrency = 20): RoutePlan => ({
  tenant: "acme",
  app: "shop",
  function: name,
  live: [{ revision: "r1", weight: 100 }],
  revisions: { r1: { runtime: "nodejs", memoryMiB: 128, concurrency, timeoutMs: 30_000 } },
  policy: {
    scaling: { min: 0, max: 100, keepAliveMs: 300_000 },
    queue: { length: 1_000, timeoutMs: 30_000 },
    limits: { bodyBytes: 1_000_000 },
    access: { kind: "open" },
    triggers: [],
  },
});
const A = "acme/shop/a";
const B = "acme/shop/b";

export function plansConformance(name: string, makeFixture: () => Promise<PlansFixture>): void {
  describe(`plans conformance: ${name}`, () => {
    let fixture: PlansFixture;
    let plans: RoutePlans;
    let heard: [string, number | undefined][];
    beforeEach(async () => {
      fixture = await makeFixture();
      plans = fixture.plans;
      heard = [];
      plans.onChange((key, plan) => heard.push([key, plan?.revisions.r1?.concurrency]));
    });
    afterEach(async () => {
      await plans.close();
      await fixture.dispose();
    });
    const open = async () => {
      const opening = plans.open(new AbortController().signal);
      await fixture.put(A, routePlanOf("a"));
      await opening;
    };

    test("open waits until there is something to read", async () => {
      let opened = false;
      const opening = plans.open(new AbortController().signal).then(() => {
        opened = true;
      });
      await fixture.settle();
      assert.deepEqual([opened, plans.ready, plans.get(A)], [false, false, undefined]);
      await fixture.put(A, routePlanOf("a"));
      await opening;
      assert.deepEqual([plans.ready, plans.get(A)], [true, routePlanOf("a")]);
    });

    test("open gives up when it is told to", async () => {
      const abort = new AbortController();
      const opening = plans.open(abort.signal);
      await fixture.settle();
      abort.abort(new Error("enough"));
      await assert.rejects(opening, /enough/);
    });

    test("everybody who listens hears of a change", async () => {
      const also: string[] = [];
      plans.onChange((key) => also.push(key));
      await open();
      assert.deepEqual([heard.map(([key]) => key), also], [[A], [A]]);
    });

    test("a change is there when the listener hears of it, and nothing is told that did not change", async () => {
      await open();
      await fixture.put(B, routePlanOf("b"));
      await fixture.put(A, routePlanOf("a", 5));
      await fixture.put(A, routePlanOf("a", 5));
      await fixture.remove(B);
      await fixture.remove(B);
      assert.deepEqual(heard, [
        [A, 20],
        [B, 20],
        [A, 5],
        [B, undefined],
      ]);
      assert.deepEqual([...plans.entries()], [[A, routePlanOf("a", 5)]]);
    });

    test("a replacement takes away what it does not name and leaves the rest untold", async () => {
      await open();
      await fixture.put(B, routePlanOf("b"));
      const same = [B, routePlanOf("b")] as const;
      await fixture.replace(new Map([same, ["acme/shop/c", routePlanOf("c")]]));
      assert.deepEqual([...plans.entries()].map(([key]) => key).sort(), [B, "acme/shop/c"]);
      assert.deepEqual(heard.slice(2), [
        [A, undefined],
        ["acme/shop/c", 20],
      ]);
    });

    test("close works twice, and the plans held can still be read", async () => {
      await open();
      await plans.close();
      await plans.close();
      assert.deepEqual(plans.get(A), routePlanOf("a"));
    });
  });
}
