import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { LinkHandlers } from "#base/link/link.ts";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { closeWorlds, createWorld, DIGEST, fails, GRANT_MS, specOf, THUMB } from "./agent.fixture.ts";

afterEach(closeWorlds);

/** Sends one invocation on a data stream of its own. */
async function invoke(world: Awaited<ReturnType<typeof createWorld>>, address: string, id: string): Promise<void> {
  const handlers: LinkHandlers = { frame() {}, close() {} };
  const dialing = world.network.dial(address, "data", handlers);
  await world.clock.advance(2);
  const link = await dialing;
  link.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: "gw1", epoch: 1 }), null);
  link.send(GUEST_FRAMES.INVOKE, 1, 1, JSON.stringify({ id, ...THUMB, budgetMs: 1_000 }), null);
  await world.clock.advance(100);
}

test("acquire, load, ready; the bundle arrives as it is; release leaves nothing", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  assert.deepEqual(
    { ...owner.hello, sandboxes: [] },
    { agent: "agent-1", host: "here", labels: { zone: "a" }, grantMs: GRANT_MS, sandboxes: [] },
  );
  const { sandbox, address } = await owner.ready();
  assert.equal(address, `guest:${sandbox}`);
  const [ready] = owner.of("ready");
  assert.ok(ready!.startMs >= 20 && ready!.loadMs >= 1, JSON.stringify(ready));
  const { sandboxes } = await owner.ask("list", {});
  assert.deepEqual(sandboxes, [
    { sandbox, address, state: "ready", runtime: "nodejs", memoryMiB: 128, bound: THUMB, slots: 2, epoch: 1 },
  ]);
  assert.deepEqual(owner.of("capacity").at(-1), { memoryMiB: 512, freeMiB: 384, sandboxes: 1 });
  assert.equal(world.bundles.held, 1);
  await owner.ask("release", { sandbox, cause: "idle", reason: "not needed" });
  await world.clock.advance(50);
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "idle" }]);
  assert.deepEqual([world.host.guests.size, world.handles.load().length, world.bundles.held], [0, 0, 0]);
  assert.deepEqual(owner.of("capacity").at(-1), { memoryMiB: 512, freeMiB: 512, sandboxes: 0 });
});

test("acquire that says so loads as well; a failed init is tried again by load", async () => {
  const world = await createWorld({ initFails: 1 });
  const owner = await world.owner();
  const { sandbox } = await owner.ask("acquire", { revision: THUMB, load: true });
  await world.clock.advance(100);
  assert.deepEqual(
    owner.of("failed").map((failed) => failed.sandbox),
    [sandbox],
  );
  world.settings.behaviour.initFails = 0;
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.deepEqual(
    owner.of("ready").map((ready) => ready.sandbox),
    [sandbox],
  );
});

test("a grant that is not renewed ends; heartbeats keep it", async () => {
  const world = await createWorld();
  const keeps = await world.owner("gw1");
  const leaves = await world.owner("gw2", 1, false);
  const kept = await keeps.ready();
  const left = await leaves.ready();
  await world.clock.advance(GRANT_MS + 100);
  assert.deepEqual(leaves.of("gone"), [{ sandbox: left.sandbox, cause: "grant-ended" }]);
  assert.deepEqual(
    world.agent().sandboxes.map(({ sandbox }) => sandbox),
    [kept.sandbox],
  );
});

test("a newer epoch takes over what the owner held, and fences the older one on every link", async () => {
  const world = await createWorld();
  const old = await world.owner("gw1", 1);
  const { sandbox } = await old.ready();
  const next = await world.owner("gw1", 2);
  assert.deepEqual(
    next.hello.sandboxes.map((view) => [view.sandbox, view.epoch]),
    [[sandbox, 2]],
  );
  assert.equal(old.isClosed(), true);
  await assert.rejects(world.owner("gw1", 1), fails("conflict", /epoch 1 of gw1 is fenced: epoch 2/));
  const other = await world.owner("gw2", 9);
  const release = { sandbox, cause: "idle", reason: "" };
  await assert.rejects(other.ask("release", release), fails("conflict", /held by gw1/));
  await assert.rejects(next.ask("release", { ...release, epoch: 1 }), fails("conflict", /fenced/));
  assert.equal(world.agent().sandboxes.length, 1);
});

test("a request before hello, an unknown sandbox, and a wrong revision are refused by name", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  await assert.rejects(owner.ask("freeze", { sandbox: "nope" }), fails("not-found", /no sandbox nope/));
  await owner.ask("release", { sandbox: "nope", cause: "idle", reason: "" });
  const big = { ...THUMB, function: "big" };
  world.plans.put(specOf(big, { memoryMiB: 256 }));
  const { sandbox } = await owner.acquire();
  await assert.rejects(owner.ask("load", { sandbox, revision: big }), fails("request-invalid", /128 MiB.*256 MiB/));
  const exotic = { ...THUMB, function: "exotic" };
  world.plans.put(specOf(exotic, { runtime: "cobol" }));
  await assert.rejects(owner.acquire(exotic), fails("runtime-unknown", /no runtime cobol.*nodejs/));
});

test("init that fails goes back to loaded; load asks again, without another process or LOAD", async () => {
  const world = await createWorld({ initFails: 1 });
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.deepEqual(owner.of("failed"), [
    { sandbox, failure: { code: "init-failed", message: "simulated failure of init" } },
  ]);
  assert.equal(world.agent().sandboxes[0]!.state, "loaded");
  const before = world.host.guests.get(sandbox)!;
  Object.assign(world.settings.behaviour, { initFails: 0 });
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.equal(owner.of("ready").length, 1);
  assert.equal(world.host.guests.get(sandbox), before);
});

test("code that does not load ends the sandbox with the guest's message", async () => {
  const world = await createWorld({ loadFails: 1 });
  const owner = await world.owner();
  const { sandbox } = await owner.acquire();
  await owner.ask("load", { sandbox, revision: THUMB });
  await world.clock.advance(200);
  const failure = { code: "load-failed", message: "simulated syntax error" };
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "load-failed", failure }]);
});

test("a launch plan that is on its way is waited for; one that does not come is a clear failure", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const late = { ...THUMB, revision: "r2" };
  world.clock.after(1_500, () => world.plans.put(specOf(late)));
  await owner.ready(late);
  const never = { ...THUMB, revision: "r9" };
  const asked = world.clock.now();
  await assert.rejects(
    owner.acquire(never),
    fails("unavailable", /no launch plan for default\/shop\/thumb@r9.*control/),
  );
  assert.ok(world.clock.now() - asked < 2_100);
});

test("owners hear what bundles the host holds: with the first hello, and when that changes", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  assert.deepEqual(owner.of("bundles"), [{ digests: [DIGEST] }]);
  world.bundles.digests = () => [DIGEST, DIGEST];
  world.bundles.changed();
  await world.clock.advance(1_100);
  assert.deepEqual(owner.of("bundles").slice(1), [{ digests: [DIGEST, DIGEST] }]);
});

test("what is larger than the whole host is refused for good, with what to do", async () => {
  const world = await createWorld();
  const huge = { ...THUMB, function: "huge" };
  world.plans.put(specOf(huge, { memoryMiB: 640 }));
  const owner = await world.owner();
  const never = /no sandbox of 640 MiB can ever start here: this host has 512 MiB for all of them\. Lower memory:/;
  await assert.rejects(owner.acquire(huge), fails("no-capacity", never));
});

test("capacity is never exceeded, also by starts at once, and what ends gives it back", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const results = await Promise.allSettled(Array.from({ length: 6 }, () => owner.acquire()));
  const granted = results.flatMap((result) => (result.status === "fulfilled" ? [result.value.sandbox] : []));
  assert.equal(granted.length, 4);
  await assert.rejects(owner.acquire(), fails("no-capacity", /no room for a sandbox of 128 MiB: 0 of 512 MiB/));
  await owner.ask("release", { sandbox: granted[0], cause: "idle", reason: "" });
  await world.clock.advance(20);
  await owner.acquire();
});

test("a start that fails is told to who asked, and gives its memory back", async () => {
  const world = await createWorld();
  Object.assign(world.host.options, { startFails: 1 });
  const owner = await world.owner();
  await assert.rejects(owner.acquire(), fails("start-failed", /nodejs guest could not be started/));
  assert.equal(world.agent().sandboxes.length, 0);
});

test("a guest that sends garbage is killed for it, and its neighbour is not", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const [bad, good] = [await owner.ready(), await owner.ready()];
  world.host.guests.get(bad.sandbox)!.sendGarbage();
  await world.clock.advance(50);
  const [gone] = owner.of("gone");
  assert.equal(gone!.sandbox, bad.sandbox);
  assert.equal(gone!.cause, "violation");
  assert.match(gone!.failure!.message, /the guest broke its protocol: READY: not JSON/);
  assert.deepEqual(
    world.agent().sandboxes.map(({ sandbox }) => sandbox),
    [good.sandbox],
  );
});

test("a guest that exits or runs out of memory is told within a second, as what it is", async () => {
  for (const [outcome, code, message] of [
    ["exit", "function-exited", "the function's process exited with code 3"],
    ["out-of-memory", "out-of-memory", "out of memory at 128 MiB"],
  ] as const) {
    const world = await createWorld({ outcomes: { [outcome]: 1 }, durationMs: [10, 10] });
    const owner = await world.owner();
    const { address } = await owner.ready();
    await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    await world.clock.advance(900);
    assert.deepEqual(owner.of("gone")[0]?.failure, { code, message });
  }
});

test("a guest that answers no ping is busy and lives; a hung load is ended at its deadline", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  world.host.guests.get(sandbox)!.freeze();
  await world.clock.advance(5_000);
  assert.deepEqual(owner.of("health"), [{ sandbox, state: "busy" }]);
  world.host.guests.get(sandbox)!.thaw();
  await world.clock.advance(3_000);
  assert.deepEqual(owner.of("health").at(-1), { sandbox, state: "answering" });
  const hung = await owner.acquire();
  world.host.guests.get(hung.sandbox)!.hang();
  await owner.ask("load", { sandbox: hung.sandbox, revision: THUMB });
  await world.clock.advance(7_000);
  const gone = owner.of("gone").find((event) => event.sandbox === hung.sandbox);
  assert.equal(gone?.failure?.code, "load-failed");
});

test("freeze and thaw: no ping meanwhile; drain lets the guest leave", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  await owner.ask("freeze", { sandbox });
  await world.clock.advance(10_000);
  assert.equal(world.agent().sandboxes[0]!.state, "frozen");
  await owner.ask("thaw", { sandbox });
  await world.clock.advance(5_000);
  assert.deepEqual(owner.of("health"), []);
  await owner.ask("drain", { sandbox, graceMs: 1_000 });
  await world.clock.advance(300);
  assert.deepEqual(owner.of("gone"), [{ sandbox, cause: "stopped" }]);
});

test("a control stream that is cut at any moment is dialed again, and the load goes on", async () => {
  for (let at = 0; at < 40; at += 2) {
    const world = await createWorld({ loadMs: [5, 5], initMs: [5, 5] });
    const owner = await world.owner();
    const { sandbox, address } = await owner.acquire();
    void owner.ask("load", { sandbox, revision: THUMB });
    await world.clock.advance(at / 2);
    world.network.cut(address);
    await world.clock.advance(2_000);
    assert.equal(owner.of("ready").length, 1, `cut ${at / 2} ms after load`);
  }
});

test("a control stream that is cut while the bundle is fetched causes one LOAD, on the new stream", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox, address } = await owner.acquire();
  world.bundles.fetched = new Promise((resolve) => world.clock.after(500, () => resolve(undefined)));
  await owner.ask("load", { sandbox, revision: THUMB });
  world.network.cut(address);
  await world.clock.advance(1_000);
  assert.equal(owner.of("ready").length, 1);
  // A guest closes its stream on a second LOAD.
  assert.equal(world.dials(), 2);
});

test("what a guest said just before it died is heard before its end is told", async () => {
  const world = await createWorld();
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  const guest = world.host.guests.get(sandbox)!;
  guest.log([{ atMs: world.clock.now(), stream: "stderr", level: "error", text: "last words" }]);
  void guest.die({ cause: "exited", detail: "exited with code 1" });
  await world.clock.advance(400);
  assert.equal(owner.of("gone").length, 1);
  const texts = world.items.flatMap((item) => (item.kind === "logs" ? item.log.entries.map(({ text }) => text) : []));
  assert.deepEqual(texts, ["last words"]);
});

test("the next agent has every sandbox, its state, its holder and its bundle, and reaps the rest", async () => {
  const world = await createWorld();
  const owner = await world.owner("gw1", 3);
  const ready = await owner.ready();
  const pending = await owner.acquire();
  const stray = await owner.acquire();
  await owner.ask("freeze", { sandbox: ready.sandbox });
  world.handles.remove(stray.sandbox);
  await world.boot();
  assert.equal(world.host.guests.size, 2);
  assert.equal(world.bundles.held, 1);
  const again = await world.owner("gw1", 4);
  assert.deepEqual(
    again.hello.sandboxes.map(({ sandbox, state, epoch, slots }) => [sandbox, state, epoch, slots]),
    [
      [ready.sandbox, "frozen", 4, 2],
      [pending.sandbox, "pending", 4, 0],
    ],
  );
  await again.ask("thaw", { sandbox: ready.sandbox });
  await again.ask("load", { sandbox: pending.sandbox, revision: THUMB });
  await world.clock.advance(100);
  assert.deepEqual(
    again.of("ready").map(({ sandbox }) => sandbox),
    [pending.sandbox],
  );
  await assert.rejects(world.owner("gw1", 3), fails("conflict", /fenced/));
});

test("what the last agent had written down as thawed, and did not come to thaw, the next one thaws", async () => {
  const world = await createWorld();
  const { sandbox } = await (await world.owner("gw1", 1)).ready();
  world.host.guests.get(sandbox)!.freeze();
  await world.boot();
  const again = await world.owner("gw1", 2);
  await world.clock.advance(5_000);
  assert.equal(again.hello.sandboxes[0]?.state, "ready");
  assert.deepEqual(again.of("health"), [], "it answers");
});

test("an owner that does not come back to the next agent loses its sandboxes after one grant", async () => {
  const world = await createWorld();
  const owner = await world.owner("gw1", 2);
  await owner.ready();
  await world.boot();
  await assert.rejects(world.owner("gw1", 1), fails("conflict", /epoch 1 of gw1 is fenced: epoch 2/));
  await world.clock.advance(GRANT_MS - 200);
  assert.equal(world.agent().sandboxes.length, 1);
  await world.clock.advance(300);
  assert.deepEqual([world.agent().sandboxes.length, world.host.guests.size], [0, 0]);
});

test("log entries reach telemetry under the function's name; a flood is cut and counted", async () => {
  const world = await createWorld({ logs: [150, 150], durationMs: [1, 1] });
  const owner = await world.owner();
  const { sandbox, address } = await owner.ready();
  await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  await invoke(world, address, "01ARZ3NDEKTSV4RRFFQ69G5FAW");
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(400);
  const logs = world.items.flatMap((item) => (item.kind === "logs" ? [item] : []));
  const { log: _, ...named } = logs[0]!;
  assert.deepEqual(named, { kind: "logs", ...THUMB, sandbox });
  const passed = logs.reduce((sum, { log }) => sum + log.entries.length, 0);
  const dropped = logs.reduce((sum, { log }) => sum + (log.dropped ?? 0), 0);
  assert.equal(passed + dropped, 300);
  assert.ok(passed >= 100 && passed <= 125, `${passed}`);
});
