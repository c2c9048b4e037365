import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { RevisionRef } from "#contract/names.ts";
import { closeWorlds, createWorld, fails, specOf, THUMB } from "./agent.fixture.ts";

afterEach(closeWorlds);

test("a tenant that shares no host is refused beside others, and they beside it, until nothing of them is left", async () => {
  const world = await createWorld({}, { placement: { default: "tenant" } });
  const other: RevisionRef = { ...THUMB, tenant: "beta", app: "web" };
  const cart: RevisionRef = { ...THUMB, app: "cart" };
  world.plans.put(specOf(other));
  world.plans.put(specOf(cart));
  const owner = await world.owner();
  const first = await owner.ready();
  await owner.ready(cart);
  const why = /no place for beta\/web on this host: tenant default shares no host with others/;
  await assert.rejects(owner.acquire(other), fails("no-capacity", why));
  assert.equal(world.host.guests.size, 2, "none was started");
  for (const { sandbox } of world.agent().sandboxes) await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(100);
  await owner.ready(other);
  await assert.rejects(owner.acquire(), fails("no-capacity", /no place for default\/shop .*and beta\/web runs here/));
  assert.ok(first.sandbox !== "");
});

test("of two that can't share the host and start at once, the one that loads first has it; so after a restart", async () => {
  const world = await createWorld({}, { placement: { "beta/web": "app" } });
  const other: RevisionRef = { ...THUMB, tenant: "beta", app: "web" };
  world.plans.put(specOf(other));
  const owner = await world.owner();
  const mine = await owner.acquire();
  const theirs = await owner.acquire(other);
  await owner.ask("load", { sandbox: theirs.sandbox, revision: other });
  const why = /app beta\/web shares no host with others \(class app\), and beta\/web runs here/;
  await assert.rejects(owner.ask("load", { sandbox: mine.sandbox, revision: THUMB }), fails("no-capacity", why));
  await owner.ask("load", { sandbox: theirs.sandbox, revision: other });
  await world.clock.advance(100);
  await world.boot();
  const again = await world.owner("gw1", 2);
  await assert.rejects(again.acquire(), fails("no-capacity", why));
});

test("of two that start at once and load when they have, the second is refused, and nothing stays of it", async () => {
  const world = await createWorld({}, { placement: { "beta/web": "app" } });
  const other: RevisionRef = { ...THUMB, tenant: "beta", app: "web" };
  world.plans.put(specOf(other));
  const owner = await world.owner();
  const both = Promise.allSettled([other, THUMB].map((revision) => owner.ask("acquire", { revision, load: true })));
  await world.clock.advance(200);
  const refused = (await both).filter((outcome) => outcome.status === "rejected");
  assert.equal(refused.length, 1);
  assert.match(String(refused[0]!.reason), /app beta\/web shares no host with others/);
  await world.clock.advance(100);
  assert.deepEqual(
    world.agent().sandboxes.map(({ state }) => state),
    ["ready"],
  );
});

test("what is ending is there until nothing of it is left", async () => {
  const world = await createWorld({}, { placement: { default: "tenant" } });
  const other: RevisionRef = { ...THUMB, tenant: "beta", app: "web" };
  world.plans.put(specOf(other));
  const owner = await world.owner();
  const { sandbox } = await owner.ready();
  const guest = world.host.guests.get(sandbox)!;
  const { die } = guest;
  guest.die = async () => {};
  await owner.ask("release", { sandbox, cause: "idle", reason: "" });
  await world.clock.advance(1_000);
  assert.equal(world.agent().sandboxes[0]?.state, "draining");
  await assert.rejects(owner.acquire(other), fails("no-capacity", /and default\/shop runs here/));
  guest.die = die;
  await world.clock.advance(10_000);
  await owner.ready(other);
});
