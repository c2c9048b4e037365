import assert from "node:assert/strict";
import { test } from "node:test";
import { createMetrics } from "#base/metrics.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { meterSandboxDriver } from "./metered.ts";
import type { Sandbox, SandboxDriver } from "./sandbox.ts";

test("starts are counted by outcome, those that went well are timed; everything else goes through", async () => {
  const clock = new SimulatedClock();
  const metrics = createMetrics();
  const sandbox = { id: "a" } as Sandbox;
  let ended = 0;
  const driver: SandboxDriver = {
    technology: "test",
    capabilities: {
      isolation: "none",
      deliver: "mount",
      freeze: false,
      network: false,
      limits: { memory: "none", cpu: "none", processes: "none" },
    },
    probe: async () => ({ works: true, detail: "yes" }),
    open: async () => {},
    close: async () => {},
    recover: async () => sandbox,
    reap: async (keep) => keep.length,
    endAll: async () => void ended++,
    async start({ id }) {
      await clock.advance(40);
      if (id === "bad") throw new Error("no");
      return sandbox;
    },
  };
  const metered = meterSandboxDriver(driver, { clock, metrics });
  const start = (id: string) =>
    metered.start({ id, runtime: { name: "nodejs", command: [], environment: {} }, memoryMiB: 128 });
  assert.equal(await start("a"), sandbox);
  assert.equal(await start("b"), sandbox);
  await assert.rejects(start("bad"), /no/);
  assert.equal(metered.technology, "test");
  assert.equal(metered.capabilities, driver.capabilities);
  assert.deepEqual(await metered.probe(), { works: true, detail: "yes" });
  assert.equal(await metered.recover({} as Sandbox["handle"]), sandbox);
  assert.equal(await metered.reap([{} as Sandbox["handle"]]), 1);
  await metered.endAll();
  assert.equal(ended, 1);
  const lines = metrics.render().split("\n");
  for (const line of [
    'colibri_sandbox_starts_total{runtime="nodejs",outcome="ok"} 2',
    'colibri_sandbox_starts_total{runtime="nodejs",outcome="failed"} 1',
    'colibri_sandbox_start_seconds_bucket{runtime="nodejs",le="0.025"} 0',
    'colibri_sandbox_start_seconds_bucket{runtime="nodejs",le="0.05"} 2',
    'colibri_sandbox_start_seconds_count{runtime="nodejs"} 2',
  ])
    assert.ok(lines.includes(line), `${line} in ${lines.join("\n")}`);
});
