import assert from "node:assert/strict";
import { test } from "node:test";
import type { Listener } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { PlatformError } from "#contract/errors.ts";
import { type ReportItem, reportEvents, reportRequests } from "#contract/report/report.ts";
import type { TypeOf } from "#contract/shape.ts";
import { logsItem, ROOM, recordsItem, telemetryConformance } from "#ports/telemetry/conformance.ts";
import { createStreamTelemetry, type StreamTelemetryOptions } from "./driver.ts";

type Batch = TypeOf<typeof reportRequests.batch.request>;
type Hello = TypeOf<typeof reportRequests.hello.request>;
const SIDES = { asks: {}, hears: reportEvents, serves: reportRequests, emits: {} };
const signal = new AbortController().signal;

/** Control's end, played by the test. Takes each number once, as control does. */
async function createStage(options: Partial<StreamTelemetryOptions> = {}) {
  const clock = new SimulatedClock();
  const random = createSeededRandom(1);
  const network = createSimulatedNetwork(clock, random, { delayMs: [1, 1] });
  let listener: Listener | undefined;
  const stage = {
    clock,
    network,
    hellos: [] as Hello[],
    /** All that came, with what came twice. */
    batches: [] as Batch[],
    taken: [] as ReportItem[],
    acknowledged: 0,
    /** Decides about a batch; throwing refuses it. */
    judge: (_batch: Batch): void | Promise<void> => {},
    async listen() {
      listener = await network.listen("control", ["report"], (link) => {
        const messages = new MessageLink({ clock }, SIDES, {
          serve: {
            hello(value) {
              stage.hellos.push(value);
              return { acknowledged: stage.acknowledged };
            },
            async batch(value) {
              stage.batches.push(value);
              await stage.judge(value);
              if (value.number > stage.acknowledged) stage.taken.push(...value.items);
              stage.acknowledged = Math.max(stage.acknowledged, value.number);
              return { acknowledged: stage.acknowledged };
            },
          },
          hear: {},
          closed() {},
        });
        messages.attach(link);
        return messages.handlers;
      });
    },
    away: async () => void (await listener?.close()),
    telemetry: createStreamTelemetry(
      { network, clock, random, log: createSilentLog() },
      { address: "control", role: "gateway", instance: "gateway-1", pid: 7, ...options },
    ),
    texts: () => stage.taken.flatMap((item) => (item.kind === "logs" ? [item.log.entries[0]?.text] : [])),
    /** Closing waits for the clock. */
    async close() {
      const closing = stage.telemetry.close();
      await clock.advance(5_000);
      await closing;
    },
  };
  await stage.listen();
  return stage;
}

telemetryConformance("stream", async () => {
  const stage = await createStage({ maximumItems: ROOM });
  const { telemetry, clock } = stage;
  return {
    telemetry: {
      open: (aborting) => telemetry.open(aborting),
      close: () => stage.close(),
      add: (item) => telemetry.add(item),
      get dropped() {
        return telemetry.dropped;
      },
    },
    received: () => stage.taken,
    settle: () => clock.advance(3_000),
    away: (isAway) => (isAway ? stage.away() : stage.listen()),
    dispose: async () => {},
  };
});

test("items of a tenth of a second leave together, many at once", async () => {
  const stage = await createStage();
  await stage.telemetry.open(signal);
  await stage.clock.advance(200);
  for (let index = 0; index < 10; index++) stage.telemetry.add(logsItem(`${index}`));
  await stage.clock.advance(90);
  assert.equal(stage.batches.length, 0);
  await stage.clock.advance(20);
  assert.deepEqual(
    stage.batches.map(({ items }) => items.length),
    [10],
  );
  for (let index = 0; index < 10; index++) stage.telemetry.add(recordsItem("0".repeat(26), "1".repeat(20_000)));
  await stage.clock.advance(10);
  assert.equal(stage.batches.length, 2, "a large batch does not wait");
  await stage.close();
});

test("what was sent and not acknowledged is sent again under its number, in order, before anything else", async () => {
  const stage = await createStage();
  await stage.telemetry.open(signal);
  await stage.clock.advance(200);
  stage.judge = () => new Promise(() => {});
  for (let index = 0; index < 3; index++) {
    stage.telemetry.add(logsItem(`${index}`));
    await stage.clock.advance(150);
  }
  assert.deepEqual(
    stage.batches.map(({ number }) => number),
    [1, 2, 3],
  );
  stage.acknowledged = 1;
  stage.judge = () => {};
  stage.network.cutOne();
  stage.telemetry.add(logsItem("new"));
  await stage.clock.advance(1_000);
  assert.deepEqual(
    stage.batches.slice(3).map(({ number, items }) => [number, items]),
    [
      [2, [logsItem("1")]],
      [3, [logsItem("2")]],
      [4, [logsItem("new")]],
    ],
  );
  assert.equal(new Set(stage.hellos.map(({ run }) => run)).size, 1);
  await stage.close();
  assert.equal(stage.telemetry.dropped, 0);
});

for (let seed = 1; seed <= 8; seed++) {
  test(`whatever is cut, everything gets through once and in order (seed ${seed})`, async () => {
    const stage = await createStage();
    const random = createSeededRandom(seed);
    await stage.telemetry.open(signal);
    const sent: string[] = [];
    stage.judge = (batch) => {
      if (random.below(12) === 0 && batch.number > stage.acknowledged) {
        stage.network.cutOne();
        throw new PlatformError("unavailable", "no");
      }
      if (batch.number > stage.acknowledged + 1) throw new PlatformError("unavailable", "after one that failed");
    };
    for (let turn = 0; turn < 300; turn++) {
      sent.push(`${turn}`);
      stage.telemetry.add(logsItem(`${turn}`));
      if (random.below(8) === 0) stage.network.cutOne();
      await stage.clock.advance(random.below(120));
    }
    await stage.clock.advance(30_000);
    assert.deepEqual(stage.texts(), sent);
    assert.equal(stage.telemetry.dropped, 0);
    await stage.close();
  });
}

test("no more batches are on the way than the window, and the rest waits within its bounds", async () => {
  const stage = await createStage({ maximumBytes: 1_000_000 });
  stage.judge = () => new Promise(() => {});
  await stage.telemetry.open(signal);
  await stage.clock.advance(100);
  const entries = Array.from({ length: 10 }, () => logsItem("x".repeat(10_000)).log.entries[0]!);
  for (let index = 0; index < 100; index++) stage.telemetry.add({ ...logsItem(""), log: { entries } });
  await stage.clock.advance(2_000);
  assert.equal(stage.batches.length, 8);
  const held = 8 * 2 + Math.floor(1_000_000 / 101_000);
  assert.ok(Math.abs(stage.telemetry.dropped - (100 - held)) <= 2, `${stage.telemetry.dropped} dropped`);
  await stage.close();
});

test("the number dropped travels with the next batch", async () => {
  const stage = await createStage({ maximumItems: 10 });
  for (let index = 0; index < 15; index++) stage.telemetry.add(logsItem(`${index}`));
  await stage.telemetry.open(signal);
  await stage.clock.advance(300);
  assert.deepEqual(
    stage.batches.map(({ dropped, items }) => [dropped, items.length]),
    [[5, 10]],
  );
  await stage.close();
});

test("a batch that control can never take is dropped and counted, and the next goes through", async () => {
  const stage = await createStage();
  stage.judge = ({ number }) => {
    if (number === 1) throw new PlatformError("request-invalid", "batch.items: no");
  };
  await stage.telemetry.open(signal);
  await stage.clock.advance(100);
  stage.telemetry.add(logsItem("bad"));
  await stage.clock.advance(200);
  stage.telemetry.add(logsItem("good"));
  await stage.clock.advance(200);
  assert.deepEqual([stage.texts(), stage.telemetry.dropped], [["good"], 1]);
  assert.equal(stage.hellos.length, 1);
  await stage.close();
});

test("a control that fails is asked again in growing waits", async () => {
  const stage = await createStage();
  stage.judge = () => {
    throw new PlatformError("store-unavailable", "disk full");
  };
  await stage.telemetry.open(signal);
  stage.telemetry.add(logsItem("kept"));
  await stage.clock.advance(20_000);
  const { length } = stage.hellos;
  assert.ok(length > 10 && length < 60, `${length} attempts in 20 s`);
  stage.judge = () => {};
  await stage.clock.advance(2_000);
  assert.deepEqual(stage.texts(), ["kept"]);
  await stage.close();
});

test("close sends what waits, and gives up what control does not take in time", async () => {
  const stage = await createStage();
  await stage.telemetry.open(signal);
  await stage.clock.advance(100);
  stage.telemetry.add(logsItem("last"));
  await stage.close();
  assert.deepEqual([stage.texts(), stage.telemetry.dropped], [["last"], 0]);

  const silent = await createStage();
  await silent.telemetry.open(signal);
  await silent.clock.advance(100);
  silent.judge = () => new Promise(() => {});
  silent.telemetry.add(logsItem("lost"));
  await silent.close();
  assert.equal(silent.telemetry.dropped, 1);
  assert.equal(silent.network.links, 0);
});
