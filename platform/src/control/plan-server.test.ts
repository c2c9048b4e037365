import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import type { LinkHandlers, Network } from "#base/link/link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom, createSystemRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { MESSAGE_FRAMES } from "#contract/link/message.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import { createStreamPlans } from "#drivers/plans/stream/driver.ts";
import type { RoutePlans } from "#ports/plans/plans.ts";
import { createPlanServer, type PlanServer } from "./plan-server.ts";
import { createStage, keyOf, MemoryFeed, subscriber } from "./plan-stage.fixture.ts";

const signal = new AbortController().signal;

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-plan-server-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const names = Array.from({ length: 12 }, (_, index) => `f${index}`);
const held = (plans: { entries(): Iterable<[string, unknown]> }) => new Map(plans.entries());
const wanted = (feed: MemoryFeed) => new Map([...feed.plans].map(([key, { plan }]) => [key, plan]));

const concurrencyOf = (plan: unknown) => (plan as RoutePlan | undefined)?.revisions.r1?.concurrency ?? 0;

/** What readers must never show, while a feed changes in numbered turns and a function's value is the turn it was put in. */
class Watch {
  readonly stepsBack: string[] = [];
  readonly tooEarly: string[] = [];
  settlements = 0;
  readonly #feed: MemoryFeed;
  readonly #readers: RoutePlans[] = [];
  readonly #removedIn = new Map<string, number>();

  constructor(feed: MemoryFeed) {
    this.#feed = feed;
  }

  /** Values of a function only grow: hearing of a smaller one would be a step back. */
  add(plans: RoutePlans): void {
    const highest = new Map<string, number>();
    const instance = this.#readers.push(plans);
    plans.onChange((key, plan) => {
      if (plan === undefined) return;
      const mark = `${instance} ${this.#feed.store} ${key}`;
      const value = concurrencyOf(plan);
      if (value < (highest.get(mark) ?? 0)) this.stepsBack.push(mark);
      highest.set(mark, value);
    });
  }

  removed(turn: number, ...gone: readonly string[]): void {
    for (const name of gone) this.#removedIn.set(name, turn);
  }

  /** When what there is now is settled, every reader that is connected has it in effect, or what came later. */
  async settles(server: PlanServer, turn: number): Promise<void> {
    const then = wanted(this.#feed);
    const { kind } = await server.settled("routes", this.#feed.number(), 500, signal);
    if (kind !== "settled") return;
    this.settlements++;
    const connected = new Set(server.subscribers().map(({ instance }) => instance));
    for (const [index, plans] of this.#readers.entries())
      for (const name of connected.has(`g${index + 1}`) ? names : []) {
        const before = concurrencyOf(then.get(keyOf(name)));
        const now = concurrencyOf(plans.get(keyOf(name)));
        const isGone = before === 0 || (this.#removedIn.get(name) ?? 0) > turn;
        if (now === 0 ? !isGone : now < (before || turn)) this.tooEarly.push(`${index + 1} ${name} ${before} ${now}`);
      }
  }
}

/** Simulated time goes on until it has happened: reading the copy on disk takes real time. */
async function advanceUntil(clock: SimulatedClock, happens: Promise<unknown>): Promise<void> {
  let hasHappened = false;
  void happens.then(() => {
    hasHappened = true;
  });
  while (!hasHappened) await clock.advance(100);
}

/**
 * Opens and waits, while simulated time stands still, until control is dialled: before that the copy on disk is read, which takes
 * real time, and a seed would not say what is dialled when.
 */
async function dial(clock: SimulatedClock, plans: RoutePlans): Promise<{ readonly opened: Promise<void> }> {
  const before = clock.pending;
  const opened = plans.open(signal);
  while (clock.pending === before) await new Promise((resolve) => setImmediate(resolve));
  return { opened };
}

for (let seed = 1; seed <= 12; seed++) {
  test(`whatever is cut, subscribers end up with the feed's plans and saw no step back (seed ${seed})`, async (t) => {
    const folder = temporary(t);
    const clock = new SimulatedClock();
    const random = createSeededRandom(seed);
    const network = createSimulatedNetwork(clock, random, { delayMs: [0, 30] });
    const feed = new MemoryFeed();
    feed.history = seed % 3 === 0 ? 8 : 500;
    const deps = { network, clock, random, log: createSilentLog() };
    let server = createPlanServer({ ...deps, feed }, { address: "control" });
    await server.open(signal);
    const watch = new Watch(feed);
    const all = [1, 2, 3].map((number) => {
      const of = { folder: join(folder, `${number}`), instance: `g${number}` };
      const plans = createStreamPlans(deps, { ...subscriber, ...of });
      watch.add(plans);
      return plans;
    });
    const opening: Promise<void>[] = [];
    for (const plans of all) opening.push((await dial(clock, plans)).opened);
    for (let turn = 1; turn <= 300; turn++) {
      const name = names[random.below(names.length)]!;
      const dice = random.below(100);
      if (dice < 50) feed.put(name, turn, dice < 5 ? "x".repeat(300_000) : "");
      else if (dice < 60) {
        feed.remove(name);
        watch.removed(turn, name);
      } else if (dice < 65) feed.elsewhere();
      else if (dice < 75) network.cutOne();
      else if (dice < 77) {
        await server.close();
        if (dice === 76) {
          feed.restart(`store-${turn}`);
          watch.removed(turn, ...names);
        }
        server = createPlanServer({ ...deps, feed }, { address: "control" });
        await server.open(signal);
      } else await clock.advance(random.below(60));
      if (dice < 60) void watch.settles(server, turn);
    }
    await advanceUntil(clock, Promise.all(opening));
    await clock.advance(5_000);
    for (const plans of all) assert.deepEqual(held(plans), wanted(feed));
    assert.deepEqual([watch.stepsBack, watch.tooEarly], [[], []]);
    assert.ok(watch.settlements > 50, `${watch.settlements}`);
    const instances = server.subscribers().map(({ instance }) => instance);
    assert.deepEqual(instances.sort(), ["g1", "g2", "g3"]);
    await advanceUntil(clock, Promise.all(all.map((plans) => plans.close())));
    assert.deepEqual(server.subscribers(), []);
    await server.close();
  });
}

test("a subscriber gets a snapshot unless it can resume", async () => {
  const stage = await createStage();
  stage.feed.history = 2;
  for (let value = 1; value <= 5; value++) stage.feed.put("a", value);
  for (const [store, after, resumed] of [
    ["", 0, false],
    ["store-1", 0, false],
    ["store-1", 2, false],
    ["store-1", 3, true],
    ["store-1", 5, true],
    ["store-1", 6, false],
    ["other", 4, false],
  ] as const) {
    const { subscribe, events } = await stage.connect();
    assert.deepEqual(await subscribe(store, after), { store: "store-1", number: 5, resumed }, `${store} ${after}`);
    const entries = [...stage.feed.plans.values()];
    const snapshot = [{ store: "store-1", number: 5, entries, done: true }];
    const changes = after === 5 ? [] : [{ from: after, number: 5, entries }];
    assert.deepEqual(events, resumed ? changes : snapshot, `${store} ${after}`);
  }
});

test("large snapshots and changes are cut into parts; only the last one counts on", async () => {
  const stage = await createStage();
  for (let index = 0; index < 2_500; index++) stage.feed.put(`f${index}`, 1);
  for (let index = 0; index < 4; index++) stage.feed.put(`large${index}`, 1, "é".repeat(150_000));
  const { subscribe, events } = await stage.connect();
  await subscribe("", 0);
  const snapshots = events.map((event) => ("done" in event ? [event.number, event.done] : []));
  assert.deepEqual(snapshots, [...Array(events.length - 1).fill([2_504, false]), [2_504, true]]);
  assert.equal(events.flatMap(({ entries }) => entries).length, 2_504);
  assert.ok(events.length > 4);

  const again = await stage.connect();
  await again.subscribe("store-1", 10);
  const changes = again.events.map((event) => ("from" in event ? [event.from, event.number] : []));
  assert.deepEqual(changes, [...Array(changes.length - 1).fill([10, 10]), [10, 2_504]]);
  assert.equal(again.events.flatMap(({ entries }) => entries).length, 2_494);
});

test("a plan that fits no frame is left out and named in the log", async () => {
  const stage = await createStage();
  stage.feed.put("huge", 1, "x".repeat(1_100_000));
  stage.feed.put("large", 1, "x".repeat(900_000));
  stage.feed.put("small", 1);
  const { subscribe, events } = await stage.connect();
  await subscribe("", 0);
  const keys = events.flatMap(({ entries }) => entries).map(({ key }) => key);
  assert.deepEqual(keys, [keyOf("large"), keyOf("small")]);
  assert.deepEqual(
    stage.lines.filter(({ level }) => level === "error").map(({ message, key }) => [message, key]),
    [["plan left out: too large", keyOf("huge")]],
  );
});

test("a second subscription on one link and an unknown topic are refused", async () => {
  const stage = await createStage();
  const { subscribe } = await stage.connect();
  await subscribe("", 0);
  await assert.rejects(subscribe("", 0), /subscribed already/);
  assert.equal(stage.server.subscribers().length, 1);
});

test("a failing feed breaks the stream off, and the subscriber may come again", async () => {
  const stage = await createStage();
  const { snapshot } = stage.feed;
  stage.feed.snapshot = () => Promise.reject(new Error("the disk is gone"));
  const broken = await stage.connect();
  await broken.subscribe("", 0);
  await stage.clock.advance(10);
  assert.deepEqual(stage.server.subscribers(), []);
  assert.ok(stage.lines.some(({ message }) => message === "plan stream broken off"));
  stage.feed.snapshot = snapshot;
  const again = await stage.connect();
  await again.subscribe("", 0);
  assert.equal(again.events.length, 1);
});

test("a subscriber that takes nothing is not sent more than a bound, and cut off in the end", async () => {
  const clock = new SimulatedClock();
  const feed = new MemoryFeed();
  for (let index = 0; index < 40; index++) feed.put(`f${index}`, 1, "x".repeat(100_000));
  let handlers: LinkHandlers | undefined;
  let reason: Error | undefined;
  const stuck = {
    buffered: 0,
    closed: false as boolean,
    send(_type: number, _flags: number, _stream: number, head: string) {
      this.buffered += head.length;
    },
    flush() {},
    close(error?: Error) {
      if (this.closed) return;
      this.closed = true;
      reason = error;
      handlers?.close(error);
    },
  };
  const network: Network = {
    dial: () => Promise.reject(new Error("not here")),
    async listen(_address, _kinds, accept) {
      handlers = accept(stuck, "plan");
      return { close: async () => {} };
    },
  };
  const server = createPlanServer({ network, clock, log: createSilentLog(), feed }, { address: "control" });
  await server.open(signal);
  const value = { ...subscriber, instance: "g1", store: "", after: 0 };
  handlers?.frame({
    type: MESSAGE_FRAMES.REQUEST,
    stream: 1,
    head: JSON.stringify({ name: "subscribe", value }),
  } as never);
  await clock.advance(5_000);
  assert.ok(stuck.buffered > 1_000_000 && stuck.buffered < 2_200_000, `${stuck.buffered} bytes`);
  const before = stuck.buffered;
  stuck.buffered = 0;
  await clock.advance(9_000);
  assert.ok(stuck.buffered > 1_000_000, "it goes on when there is room");
  assert.equal(stuck.closed, false);
  await clock.advance(2_000);
  assert.equal(stuck.closed, true, `${before}`);
  assert.match(`${reason?.message}`, /nothing taken for 10000 ms/);
  assert.deepEqual(server.subscribers(), []);
});

test("over a real socket: snapshot, change, control away and back", async (t) => {
  const folder = temporary(t);
  const deps = {
    network: createSocketNetwork(),
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createSilentLog(),
  };
  const feed = new MemoryFeed();
  const address = join(folder, "plan.sock");
  feed.put("a", 1, "x".repeat(600_000));
  feed.put("b", 1, "x".repeat(600_000));
  let server = createPlanServer({ ...deps, feed }, { address });
  await server.open(signal);
  const plans = createStreamPlans(deps, { ...subscriber, address, folder, instance: "g1" });
  let heard = Promise.withResolvers<string>();
  plans.onChange((key) => heard.resolve(key));
  await plans.open(AbortSignal.timeout(5_000));
  assert.deepEqual(held(plans), wanted(feed));
  heard = Promise.withResolvers();
  feed.put("c", 2);
  assert.equal(await heard.promise, keyOf("c"));
  await server.close();
  heard = Promise.withResolvers();
  feed.remove("a");
  server = createPlanServer({ ...deps, feed }, { address });
  await server.open(signal);
  assert.equal(await heard.promise, keyOf("a"));
  assert.deepEqual(held(plans), wanted(feed));
  await plans.close();
  await server.close();
});
