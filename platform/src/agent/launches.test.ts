import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import { specOf, THUMB } from "./agent.fixture.ts";
import { createLaunches } from "./launches.ts";

test("who follows a revision hears of its changes alone, and of none after leaving", () => {
  const changed: ((key: string, spec: LaunchSpec | undefined) => void)[] = [];
  const plans = {
    ...{ open: async () => {}, close: async () => {}, ready: true },
    ...{ get: () => undefined, entries: () => new Map<string, LaunchSpec>().entries() },
    onChange: (listener: (typeof changed)[number]) => void changed.push(listener),
  };
  const launches = createLaunches({ plans, clock: new SimulatedClock() }, { patienceMs: 10 });
  const put = (spec: LaunchSpec) => changed[0]?.(`${spec.tenant}/${spec.app}/${spec.function}@${spec.revision}`, spec);
  const heard: string[] = [];
  const leave = launches.follow(THUMB, ({ network }) => heard.push(`one ${network.kind}`));
  const leaveToo = launches.follow(THUMB, ({ network }) => heard.push(`two ${network.kind}`));
  put(specOf({ ...THUMB, revision: "r2" }));
  put(specOf(THUMB, { network: { kind: "none" } }));
  leave();
  leave();
  put(specOf(THUMB));
  leaveToo();
  put(specOf(THUMB));
  assert.deepEqual(heard, ["one none", "two none", "two internet"]);
});
