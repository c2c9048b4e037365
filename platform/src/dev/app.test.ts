import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import { createMemoryPlans } from "#drivers/plans/memory/driver.ts";
import type { LiveBundle } from "#platform/builder/node/live-bundle.ts";
import { DevApp } from "./app.ts";
import { readApp } from "./app-file.ts";
import type { DevEvent } from "./event.ts";
import { DevRevisions, refOf } from "./revisions.ts";
import { createDevRuntimes } from "./runtimes.ts";
import { DevStarts } from "./starts.ts";

const CONFIG = (app: string, fn = "typed") => `app: ${app}\nfunctions:\n  ${fn}: { runtime: nodejs, source: code }\n`;

/** An app that is followed, with builds of which only begin and end are noted. */
async function followed(t: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-dev-app-"));
  mkdirSync(join(folder, "code"));
  writeFileSync(join(folder, "code", "index.ts"), "");
  const write = (text: string) => writeFileSync(join(folder, "colibri.yaml"), text);
  write(CONFIG("shop"));
  const plans = { routes: createMemoryPlans<RoutePlan>(), launches: createMemoryPlans<LaunchSpec>() };
  const revisions = new DevRevisions(plans, { prestart: false, inspected: false });
  const clock = createSystemClock();
  const { tell, until } = listening();
  const steps: string[] = [];
  let made = 0;
  const createLiveBundle = (): LiveBundle => {
    const number = ++made;
    return {
      handler: "index.js",
      async build() {
        steps.push(`build ${number}`);
        return [];
      },
      async close() {
        // Longer than anything else here, were it not waited for.
        if (number === 1) await new Promise((resolve) => setTimeout(resolve, 50));
        steps.push(`closed ${number}`);
      },
    };
  };
  const node = { name: "nodejs", version: process.versions.node, command: ["node", "guest"], environment: {} };
  const app = new DevApp(
    {
      ...{ clock, revisions, tell, inspection: undefined, starts: new DevStarts({ clock, revisions, tell }) },
      steps: { createLiveBundle, findHandler: async () => "index.ts", checkPackages: async () => {} },
      runtimes: createDevRuntimes({ get: () => node, list: () => [node] }),
      dependencies: { nodejs: async () => ({}), python: async () => ({}) },
    },
    { folder, watch: true, home: "home", homes: () => new Set(["home"]) },
  );
  t.after(async () => {
    await app.close();
    rmSync(folder, { recursive: true });
  });
  const read = readApp(folder);
  assert.ok(read.kind === "config");
  await app.open(read.config, new AbortController().signal);
  return { app, revisions, plans, steps, write, until };
}

/** Looks again whenever something may have happened. */
function listening() {
  const told: DevEvent[] = [];
  const tell = (event: DevEvent) => void told.push(event);
  const until = async (isSo: () => boolean) => {
    const end = performance.now() + 5_000;
    while (!isSo()) {
      assert.ok(performance.now() < end, JSON.stringify(told));
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  return { tell, until };
}

test("in an app of another name a function is built when what was built for the old name has been removed", async (t) => {
  const { revisions, steps, write, until } = await followed(t);
  assert.deepEqual(steps, ["build 1"]);
  write(CONFIG("store"));
  await until(() => revisions.current(refOf("store", "typed")) !== undefined);
  assert.deepEqual(steps, ["build 1", "closed 1", "build 2"]);
  assert.equal(revisions.current(refOf("shop", "typed")), undefined);
});

test("of a function that is removed no plan and no code is left", async (t) => {
  const { app, revisions, plans, write, until } = await followed(t);
  app.restart();
  await until(() => revisions.current(refOf("shop", "typed")) === "r2");
  assert.equal([...plans.launches.entries()].length, 2);
  write(CONFIG("shop", "other"));
  await until(() => revisions.current(refOf("shop", "other")) !== undefined);
  assert.deepEqual(
    [...plans.launches.entries()].map(([, { function: name, revision }]) => `${name} ${revision}`),
    ["other r1"],
  );
  assert.equal(revisions.bundles.digests().length, 1);
});

test("whoever closes waits also for what was removed just before", async (t) => {
  const { app, revisions, steps, write, until } = await followed(t);
  write(CONFIG("shop", "other"));
  await until(() => revisions.current(refOf("shop", "typed")) === undefined);
  await app.close();
  assert.ok(steps.includes("closed 1"), steps.join());
});
