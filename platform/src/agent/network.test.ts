import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { Behaviour } from "#drivers/sandbox/simulated/behaviour.ts";
import { closeWorlds, createWorld, specOf, THUMB } from "./agent.fixture.ts";

afterEach(closeWorlds);

/** Every policy that a sandbox was put under, in order, with what was in the guest then; `refuses` one kind. */
function createWalls() {
  const walls = {
    applied: [] as string[],
    refuses: "",
    stateOf: (_: string): string | undefined => undefined,
    async apply(sandbox: string, policy: NetworkPolicy) {
      if (policy.kind === walls.refuses) throw new Error("nft failed");
      walls.applied.push(`${policy.kind} while ${walls.stateOf(sandbox)}`);
    },
  };
  return walls;
}

async function createWalledWorld(behaviour: Partial<Behaviour> = {}) {
  const walls = createWalls();
  const world = await createWorld(behaviour, {}, walls.apply);
  walls.stateOf = (sandbox) => world.agent().sandboxes.find((view) => view.sandbox === sandbox)?.state;
  return { ...world, walls };
}

function statesOf({ agent }: Pick<Awaited<ReturnType<typeof createWorld>>, "agent">): [string, string][] {
  return agent().sandboxes.map(({ sandbox, state }) => [sandbox, state]);
}

const NONE: Partial<LaunchSpec> = { network: { kind: "none" } };
const LIST: Partial<LaunchSpec> = { network: { kind: "allow", hosts: ["example.com"] } };

test("a sandbox is under its app's network before it is loaded, and under a new one while it runs", async () => {
  const { walls, ...world } = await createWalledWorld();
  world.plans.put(specOf(THUMB, NONE));
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  assert.deepEqual(walls.applied, ["none while loading"]);
  world.plans.put(specOf({ ...THUMB, function: "other" }, LIST));
  world.plans.put(specOf(THUMB, LIST));
  await world.clock.advance(10);
  assert.deepEqual(walls.applied.slice(1), ["allow while ready"]);
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(50);
  world.plans.put(specOf(THUMB, NONE));
  await world.clock.advance(10);
  assert.equal(walls.applied.length, 2, "nothing is left to be put under it");
});

test("a policy that changes while the bundle is fetched is the one that the code is loaded under", async () => {
  const { walls, ...world } = await createWalledWorld();
  const fetched = Promise.withResolvers<void>();
  world.bundles.fetched = fetched.promise;
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  world.plans.put(specOf(THUMB, NONE));
  fetched.resolve();
  await world.clock.advance(100);
  assert.equal(owner.of("ready").length, 1);
  assert.deepEqual(new Set(walls.applied), new Set(["none while loading"]));
});

test("the next agent puts what runs under the network that its app has by then", async () => {
  const { walls, ...world } = await createWalledWorld();
  const first = await world.owner();
  const { sandbox } = await first.ready();
  await world.agent().close();
  world.plans.put(specOf(THUMB, NONE));
  walls.applied.splice(0);
  await world.boot();
  await world.clock.advance(50);
  assert.deepEqual(walls.applied, ["none while ready"]);
  world.plans.put(specOf(THUMB, LIST));
  await world.clock.advance(10);
  assert.deepEqual(walls.applied, ["none while ready", "allow while ready"]);
  assert.deepEqual(
    world.agent().sandboxes.map((view) => view.sandbox),
    [sandbox],
  );
});

for (const [what, afterMs, state] of [
  ["in init", 150, "initialising"],
  ["just ready", 320, "ready"],
] as const)
  test(`what an agent closed on while it was ${what} has its bundle held, and its app's network, by the next one`, async () => {
    const { walls, ...world } = await createWalledWorld({ loadMs: [1, 1], initMs: [300, 300] });
    const owner = await world.owner();
    const { sandbox } = await owner.acquire();
    await owner.ask("load", { sandbox, revision: THUMB });
    await world.clock.advance(afterMs);
    assert.deepEqual(statesOf(world), [[sandbox, state]]);
    await world.agent().close();
    assert.equal(world.handles.load()[0]?.life.phase, "loading", "that is the last that was written down");
    assert.equal(world.bundles.held, 0);
    world.plans.put(specOf(THUMB, NONE));
    walls.applied.splice(0);
    await world.boot();
    await world.clock.advance(400);
    assert.deepEqual(statesOf(world), [[sandbox, "ready"]]);
    assert.deepEqual(walls.applied, ["none while loading"]);
    assert.equal(world.bundles.held, 1);
    world.plans.put(specOf(THUMB, LIST));
    await world.clock.advance(10);
    assert.deepEqual(walls.applied, ["none while loading", "allow while ready"]);
    const next = await world.owner("gw1", 2);
    await next.ask("release", { sandbox, cause: "idle", reason: "" });
    await world.clock.advance(50);
    assert.equal(world.bundles.held, 0);
  });

test("what an agent closed on while it fetched the code is loaded by the next one, once, under the network of by then", async () => {
  const { walls, ...world } = await createWalledWorld();
  world.bundles.fetched = new Promise(() => {});
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.agent().close();
  assert.deepEqual(walls.applied, []);
  world.plans.put(specOf(THUMB, NONE));
  const fetched = Promise.withResolvers<void>();
  world.bundles.fetched = fetched.promise;
  await world.boot();
  await world.clock.advance(50);
  fetched.resolve();
  await world.clock.advance(200);
  // A guest closes its stream on a second LOAD.
  assert.deepEqual(statesOf(world), [[sandbox, "ready"]]);
  assert.deepEqual(new Set(walls.applied), new Set(["none while loading"]));
  assert.equal(world.bundles.held, 1);
});

test("what could not be held to its app's network by the next agent is ended while it initialises", async () => {
  const { walls, ...world } = await createWalledWorld({ loadMs: [1, 1], initMs: [300, 300] });
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(150);
  await world.agent().close();
  world.plans.put(specOf(THUMB, NONE));
  walls.refuses = "none";
  await world.boot();
  await world.clock.advance(100);
  assert.deepEqual(statesOf(world), []);
  assert.equal(world.host.guests.size, 0);
  assert.equal(world.bundles.held, 0);
});

test("a sandbox that can't be put under a new policy is removed: it would go on under the old one", async () => {
  const { walls, ...world } = await createWalledWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  walls.refuses = "none";
  world.plans.put(specOf(THUMB, NONE));
  await world.clock.advance(100);
  const [gone] = owner.of("gone");
  assert.deepEqual([gone?.sandbox, gone?.cause, gone?.failure?.code], [sandbox, "host", "sandbox-lost"]);
  const again = await owner.acquire();
  await owner.ask("load", { sandbox: again.sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.match(
    owner.of("failed").at(-1)?.failure.message ?? owner.of("gone").at(-1)?.failure?.message ?? "",
    /nft failed/,
  );
  assert.equal(owner.of("ready").length, 1);
});

test("without walls nothing but internet is loaded, and what runs ends when its app asks for more", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const running = await owner.ready();
  world.plans.put(specOf(THUMB, NONE));
  await world.clock.advance(100);
  const [gone] = owner.of("gone");
  assert.deepEqual([gone?.sandbox, gone?.failure?.code], [running.sandbox, "network-unenforced"]);
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  const failure = owner.of("failed").at(-1)?.failure ?? owner.of("gone").at(-1)?.failure;
  assert.equal(failure?.code, "network-unenforced");
  assert.match(
    failure.message,
    /network in colibri.yaml is "none", and simulated sandboxes can't .*set network: internet/,
  );
  assert.equal(owner.of("ready").length, 1);
});
