import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { PoolRule } from "#domain/scaling/pool-size.ts";
import { closeWorlds, createWorld, fails, specOf, THUMB } from "./agent.fixture.ts";

afterEach(closeWorlds);

const NONE: PoolRule = { min: 0, max: 0 };
const named = (min: number, max: number, memoryMiB = 128) => ({ runtime: "nodejs", memoryMiB, min, max });
const pools = (...rules: ReturnType<typeof named>[]) => ({ pools: { named: rules, others: NONE } });
type World = Awaited<ReturnType<typeof createWorld>>;

const generic = (world: World) => world.agent().sandboxes.filter(({ epoch }) => epoch === 0);
const ids = (world: World) => generic(world).map(({ sandbox }) => sandbox);
const states = (world: World) => generic(world).map(({ state }) => state);

function metric(world: World, series: string): number {
  const line = world.metrics
    .render()
    .split("\n")
    .find((text) => text.startsWith(`${series} `));
  assert.ok(line !== undefined, `${series} is told`);
  return Number(line.split(" ").at(-1));
}
const requests = (world: World, outcome: string) =>
  metric(world, `colibri_pool_requests_total{runtime="nodejs",memory_mib="128",outcome="${outcome}"}`);

test("a pool fills to its minimum, one start at a time, and a request has one without waiting", async () => {
  const world = await createWorld({}, pools(named(2, 4)));
  assert.deepEqual(states(world), ["starting"]);
  await world.clock.advance(35);
  assert.deepEqual(states(world), ["pending", "starting"]);
  await world.clock.advance(100);
  const waiting = ids(world);
  assert.deepEqual(states(world), ["pending", "pending"]);
  const owner = await world.owner();
  const { sandbox, address, pooled } = await owner.ready();
  assert.deepEqual([pooled, sandbox, address], ["hit", waiting[0], `guest:${waiting[0]}`]);
  assert.equal(world.agent().sandboxes.find((view) => view.sandbox === sandbox)?.slots, 2);
  await world.clock.advance(200);
  assert.deepEqual([states(world), ids(world)[0]], [["pending", "pending"], waiting[1]]);
  assert.deepEqual([requests(world, "hit"), requests(world, "miss")], [1, 0]);
  const starts = 'colibri_pool_starts_total{runtime="nodejs",memory_mib="128",outcome="ok"}';
  assert.equal(metric(world, starts), 3);
  const labels = 'runtime="nodejs",memory_mib="128"';
  assert.equal(metric(world, `colibri_pool_sandboxes{${labels},state="waiting"}`), 2);
  assert.equal(metric(world, `colibri_pool_sandboxes{${labels},state="starting"}`), 0);
  assert.equal(metric(world, `colibri_pool_wanted_sandboxes{${labels}}`), 2);
});

test("owners hear of what they hold alone, have what is pooled for free memory, and can't touch it", async () => {
  const world = await createWorld({}, pools(named(2, 2)));
  await world.clock.advance(100);
  const owner = await world.owner();
  assert.deepEqual(owner.hello.sandboxes, []);
  assert.equal(owner.of("capacity")[0]?.freeMiB, 512);
  const [sandbox] = ids(world);
  const { sandboxes } = await owner.ask("list", {});
  assert.deepEqual(sandboxes[0], {
    ...{
      sandbox,
      address: `guest:${sandbox}`,
      state: "pending",
      runtime: "nodejs",
      memoryMiB: 128,
      slots: 0,
      epoch: 0,
    },
  });
  await assert.rejects(owner.ask("load", { sandbox, revision: THUMB }), fails("conflict", /nobody holds it/));
});

test("an empty pool: the request takes what is on its way, and starts its own where that fails", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  const [first] = ids(world);
  const owner = await world.owner();
  const claimed = await owner.acquire();
  assert.deepEqual([claimed.sandbox, claimed.pooled], [first, "miss"]);
  assert.equal(requests(world, "claimed"), 1);
  await owner.ask("release", { sandbox: claimed.sandbox, cause: "idle", reason: "" });
  await world.clock.advance(10);
  const [second] = ids(world);
  assert.equal(generic(world)[0]?.state, "starting");
  Object.assign(world.host.options, { startFails: 1 });
  world.clock.after(15, () => Object.assign(world.host.options, { startFails: 0 }));
  const own = await owner.acquire();
  assert.notEqual(own.sandbox, second);
  assert.equal(own.pooled, "miss");
});

test("what was held is never pooled again: released without code it is removed", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  await world.clock.advance(100);
  const owner = await world.owner();
  const { sandbox, pooled } = await owner.acquire();
  assert.equal(pooled, "hit");
  await owner.ask("release", { sandbox, cause: "stopped", reason: "not needed" });
  await world.clock.advance(1_500);
  assert.equal(world.host.guests.has(sandbox), false);
  assert.deepEqual(states(world), ["pending"]);
  assert.notEqual(ids(world)[0], sandbox);
});

test("no start of a pool begins while a request's start is under way, but one that hangs holds it up for a second only", async () => {
  const world = await createWorld({ loadMs: [300, 300] }, pools(named(1, 1)));
  await world.clock.advance(100);
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(250);
  assert.deepEqual(ids(world), []);
  await world.clock.advance(100);
  assert.equal(owner.of("ready").length, 1);
  await world.clock.advance(100);
  assert.deepEqual(states(world), ["pending"]);
  const hung = await owner.acquire();
  world.host.guests.get(hung.sandbox)!.hang();
  await owner.ask("load", { sandbox: hung.sandbox, revision: THUMB });
  await world.clock.advance(500);
  assert.deepEqual(ids(world), []);
  await world.clock.advance(1_600);
  assert.deepEqual(states(world), ["pending"]);
});

test("what a request started comes first: the pool starts nothing for some milliseconds after it is ready", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  await world.clock.advance(100);
  const owner = await world.owner();
  world.clock.after(0, () => void owner.ask("acquire", { revision: THUMB, load: true }));
  while (owner.of("ready").length === 0) await world.clock.advance(1);
  await world.clock.advance(10);
  assert.deepEqual(ids(world), []);
  await world.clock.advance(10);
  assert.deepEqual(states(world), ["starting"]);
});

test("a size that is asked for gets a pool, which goes when nobody asks any more", async () => {
  const world = await createWorld({}, { pools: { named: [], others: { min: 0, max: 2 } } });
  const owner = await world.owner();
  assert.deepEqual([(await owner.acquire()).pooled, ids(world).length], ["miss", 0]);
  await world.clock.advance(2_500);
  assert.deepEqual(states(world), ["pending"]);
  await world.clock.advance(60_000);
  assert.deepEqual(states(world), ["pending"]);
  await world.clock.advance(600_000);
  assert.deepEqual(ids(world), []);
});

test("revisions are served by their memory class, and the sandbox has all of it", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  const odd = { ...THUMB, function: "odd" };
  world.plans.put(specOf(odd, { memoryMiB: 100 }));
  await world.clock.advance(100);
  const owner = await world.owner();
  const { sandbox, pooled } = await owner.ready(odd);
  assert.equal(pooled, "hit");
  assert.equal(world.agent().sandboxes.find((view) => view.sandbox === sandbox)?.memoryMiB, 128);
});

test("pools have their share and never the last room; what waits gives way to a request", async () => {
  // Of 512 MiB half may be pooled.
  const world = await createWorld({}, pools(named(4, 4)));
  const owner = await world.owner();
  const big = { ...THUMB, function: "big" };
  world.plans.put(specOf(big, { memoryMiB: 384 }));
  await world.clock.advance(5_000);
  assert.deepEqual(states(world), ["pending", "pending"]);
  const { sandbox } = await owner.acquire(big);
  await world.clock.advance(5_000);
  assert.deepEqual(states(world), ["pending"]);
  await assert.rejects(owner.acquire(big), fails("no-capacity", /no room for a sandbox of 384 MiB/));
  assert.deepEqual(states(world), ["pending"], "nothing goes where that would not be enough");
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(5_000);
  assert.deepEqual(states(world), ["pending", "pending"]);
});

test("starts that fail are tried again ever more rarely, and told once", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  await world.clock.advance(100);
  Object.assign(world.host.options, { startFails: 1 });
  const [sandbox] = ids(world);
  await world.host.guests.get(sandbox!)!.die({ cause: "exited", detail: "exited with code 1" });
  await world.clock.advance(300_000);
  const lost = world.logged.filter(({ message }) => message.startsWith("the pool lost a sandbox"));
  assert.deepEqual(
    lost.filter(({ level }) => level !== "debug").map(({ level, code }) => [level, code]),
    [["warn", "start-failed"]],
  );
  assert.ok(lost.length > 5 && lost.length < 20, `${lost.length} starts in five minutes`);
  const noisy = world.logged.filter(({ level, message }) => level !== "debug" && message === "sandbox is gone");
  assert.deepEqual(noisy, []);
  Object.assign(world.host.options, { startFails: 0 });
  await world.clock.advance(62_000);
  assert.deepEqual(states(world), ["pending"]);
});

test("a guest that is silent is handed to nobody, and replaced", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  await world.clock.advance(100);
  const [silent] = ids(world);
  world.host.guests.get(silent!)!.hang();
  await world.clock.advance(5_000);
  const owner = await world.owner();
  assert.equal((await owner.acquire()).pooled, "miss");
  await world.clock.advance(15_000);
  assert.equal(world.host.guests.has(silent!), false);
  assert.equal(states(world).length, 1);
});

test("the next agent has what waited; what has another guest, or no pool any more, is removed", async () => {
  const world = await createWorld({}, pools(named(2, 2)));
  await world.clock.advance(200);
  const waiting = ids(world);
  await world.boot();
  await world.clock.advance(50);
  assert.deepEqual(ids(world), waiting);
  const owner = await world.owner();
  const { sandbox, pooled } = await owner.ready();
  assert.deepEqual([sandbox, pooled], [waiting[0], "hit"]);
  await world.clock.advance(200);
  const before = ids(world);
  world.settings.runtimes = [{ name: "nodejs", version: "25", command: ["node"], environment: {} }];
  await world.boot();
  await world.clock.advance(200);
  assert.equal(ids(world).length, 2);
  assert.deepEqual(
    ids(world).filter((id) => before.includes(id)),
    [],
  );
  assert.ok(world.host.guests.has(sandbox), "what is held stays");
  world.settings.agent = pools();
  await world.boot();
  await world.clock.advance(200);
  assert.deepEqual([[...world.host.guests.keys()], world.handles.load().length], [[sandbox], 1]);
});

test("a guest that does not answer the next agent is not handed out, and replaced", async () => {
  const world = await createWorld({}, pools(named(1, 1)));
  await world.clock.advance(200);
  const [hung] = ids(world);
  world.host.guests.get(hung!)!.hang();
  await world.boot();
  const owner = await world.owner();
  const { sandbox, pooled } = await owner.acquire();
  assert.notEqual(sandbox, hung);
  assert.equal(pooled, "miss");
  await world.clock.advance(8_000);
  assert.equal(world.host.guests.has(hung!), false);
  assert.deepEqual(states(world), ["pending"]);
});

test("every move of a sandbox is one line with its duration; what waits in a pool is told at debug", async () => {
  const world = await createWorld({ loadMs: [5, 5], initMs: [7, 7] }, pools(named(1, 1)));
  await world.clock.advance(1_000);
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  await owner.ask("freeze", { sandbox });
  await owner.ask("thaw", { sandbox });
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(50);
  const moves = world.logged.filter((line) => line.sandbox === sandbox && line.fromMs !== undefined);
  assert.deepEqual(
    moves.map(({ level, from, message }) => `${level} ${from}: ${message}`),
    [
      "debug starting: sandbox is pending",
      "debug pending: sandbox is loading",
      "debug loading: sandbox is initialising",
      "info initialising: sandbox is ready",
      "info ready: sandbox is frozen",
      "info frozen: sandbox is ready",
      "debug ready: sandbox is ending",
      "info ending: sandbox is gone",
    ],
  );
  const { fromMs, memoryMiB, function: name, initMs } = moves[3]!;
  assert.deepEqual([Math.abs(Number(fromMs) - 7) < 2, memoryMiB, name, initMs], [true, 128, "thumb", 7]);
});
