import assert from "node:assert/strict";
import { test } from "node:test";
import type { Settlement } from "./plan-server.ts";
import { createStage } from "./plan-stage.fixture.ts";

const signal = new AbortController().signal;
const BOUND_MS = 3_000;

/** A stage with three plans, and readers that hold them. */
async function stageWith(...instances: string[]) {
  const stage = await createStage();
  for (const name of ["a", "b", "c"]) stage.feed.put(name, 1);
  const readers = [];
  for (const instance of instances) {
    const reader = await stage.connect(instance);
    await reader.subscribe("", 0);
    readers.push(reader);
  }
  const { server, feed } = stage;
  /** Told when it is known; undefined until then. */
  const wait = (number = feed.number(), stop = signal) => {
    const waiting: { result: Settlement | undefined } = { result: undefined };
    void server.settled("routes", number, BOUND_MS, stop).then((result) => {
      waiting.result = result;
    });
    return waiting;
  };
  return { ...stage, readers, wait };
}

const SETTLED = { kind: "settled" };
const missing = ({ result }: { result: Settlement | undefined }) =>
  result?.kind === "unsettled" && result.waitingFor.map(({ instance, pid }) => `${instance} ${pid}`);

test("it is settled when every reader has answered, each after it took what was sent", async () => {
  const { clock, feed, readers, wait } = await stageWith("g1", "g2");
  const [first, second] = readers as [(typeof readers)[0], (typeof readers)[0]];
  const answer = Promise.withResolvers<{ number: number }>();
  let held = 0;
  first.reader.barrier = () => {
    held = first.numberHeard();
    return { number: held };
  };
  second.reader.barrier = () => answer.promise;
  feed.put("d", 1);
  const waiting = wait();
  await clock.advance(100);
  assert.equal(held, 4);
  assert.equal(waiting.result, undefined);
  answer.resolve({ number: 4 });
  await clock.advance(10);
  assert.deepEqual(waiting.result, SETTLED);
});

test("one question is under way at most, for all who wait; one that was answered needs none", async () => {
  const { clock, feed, readers, wait } = await stageWith("g1");
  const reader = readers[0]!;
  const answer = Promise.withResolvers<{ number: number }>();
  reader.reader.barrier = () => answer.promise;
  const first = [wait(), wait(), wait()];
  await clock.advance(20);
  feed.put("d", 1);
  const later = wait();
  await clock.advance(100);
  assert.equal(reader.asked.barriers, 1);
  // What it says of an older number does not hold for a newer one.
  reader.reader.barrier = () => ({ number: reader.numberHeard() });
  answer.resolve({ number: 3 });
  await clock.advance(1);
  for (const one of first) assert.deepEqual(one.result, SETTLED);
  assert.equal(later.result, undefined);
  await clock.advance(20);
  assert.deepEqual(later.result, SETTLED);
  assert.equal(reader.asked.barriers, 2);
  const again = wait();
  await clock.advance(0);
  assert.deepEqual(again.result, SETTLED);
  assert.equal(reader.asked.barriers, 2);
});

test("nobody is asked when nobody waits", async () => {
  const { clock, feed, readers } = await stageWith("g1");
  feed.put("d", 1);
  await clock.advance(60_000);
  assert.equal(readers[0]?.asked.barriers, 0);
});

test("readers of the other topic are neither asked nor enough", async () => {
  const { clock, connect, wait } = await stageWith();
  const agent = await connect("agent");
  await agent.subscribe("", 0, "launches");
  const waiting = wait();
  await clock.advance(BOUND_MS - 1);
  assert.equal(waiting.result, undefined);
  await clock.advance(1);
  assert.deepEqual(missing(waiting), []);
  assert.equal(agent.asked.barriers, 0);
});

test("one that is not there yet is waited for; it may resume or start anew", async () => {
  for (const [store, after] of [
    ["store-1", 3],
    ["store-1", 2],
    ["", 0],
  ] as const) {
    const { clock, connect, wait } = await stageWith();
    const waiting = wait();
    await clock.advance(1_000);
    assert.equal(waiting.result, undefined);
    const reader = await connect();
    const answer = () => ({ number: reader.events.length > 0 ? reader.numberHeard() : after });
    reader.reader.barrier = answer;
    await reader.subscribe(store, after);
    await clock.advance(10);
    assert.deepEqual(waiting.result, SETTLED, `${store} ${after}`);
    assert.equal(reader.asked.barriers, 1);
  }
});

test("one that stalls is named when the bound has passed; it counts again when it answers", async () => {
  const { clock, readers, wait } = await stageWith("g1", "g2");
  const answer = Promise.withResolvers<{ number: number }>();
  readers[1]!.reader.barrier = () => answer.promise;
  const waiting = wait();
  await clock.advance(BOUND_MS - 1);
  assert.equal(waiting.result, undefined);
  await clock.advance(1);
  assert.deepEqual(missing(waiting), ["g2 7"]);
  const again = wait();
  answer.resolve({ number: 3 });
  await clock.advance(10);
  assert.deepEqual(again.result, SETTLED);
});

test("one that did not answer in time is asked again, while somebody waits", async () => {
  const { clock, readers, wait, lines } = await stageWith("g1");
  const reader = readers[0]!;
  reader.reader.barrier = () => new Promise(() => {});
  wait();
  await clock.advance(9_000);
  const waiting = wait();
  reader.reader.barrier = () => ({ number: reader.numberHeard() });
  assert.equal(reader.asked.barriers, 1);
  await clock.advance(1_100);
  assert.deepEqual(waiting.result, SETTLED);
  assert.equal(reader.asked.barriers, 2);
  assert.ok(lines.some(({ message }) => message === "plan subscriber does not answer"));
});

test("one that leaves is not waited for, unless it was the only one", async () => {
  const { clock, readers, wait, connect } = await stageWith("g1", "g2");
  for (const { reader } of readers) reader.barrier = () => new Promise(() => {});
  const waiting = wait();
  readers[0]!.close();
  readers[1]!.close();
  await clock.advance(100);
  assert.equal(waiting.result, undefined);
  const back = await connect("g1");
  const stuck = await connect("g2");
  stuck.reader.barrier = () => new Promise(() => {});
  await stuck.subscribe("", 0);
  await back.subscribe("", 0);
  await clock.advance(10);
  assert.equal(waiting.result, undefined);
  stuck.close();
  await clock.advance(10);
  assert.deepEqual(waiting.result, SETTLED);
});

test("told to stop, it says at once who is missing", async () => {
  const { clock, readers, wait, feed } = await stageWith("g1");
  readers[0]!.reader.barrier = () => new Promise(() => {});
  const stop = new AbortController();
  const waiting = wait(feed.number(), stop.signal);
  await clock.advance(10);
  stop.abort();
  await clock.advance(0);
  assert.deepEqual(missing(waiting), ["g1 7"]);
  const late = wait(feed.number(), stop.signal);
  await clock.advance(0);
  assert.deepEqual(missing(late), ["g1 7"]);
});

test("a reader that holds less than it was sent, or does not know the question, is broken off", async () => {
  for (const answer of [
    () => ({ number: 2 }),
    () => {
      throw new TypeError("no such thing");
    },
  ]) {
    const { clock, readers, wait, server, lines } = await stageWith("g1", "g2");
    readers[0]!.reader.barrier = answer;
    const waiting = wait();
    await clock.advance(20);
    assert.deepEqual(waiting.result, SETTLED);
    assert.deepEqual(
      server.subscribers().map(({ instance }) => instance),
      ["g2"],
    );
    assert.ok(lines.some(({ message }) => message === "plan stream broken off"));
  }
});
