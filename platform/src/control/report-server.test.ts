import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createLog, createSilentLog } from "#base/log.ts";
import { createSeededRandom, createSystemRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type LogsItem, type RecordsItem, reportEvents, reportServed } from "#contract/report/report.ts";
import { createStreamTelemetry } from "#drivers/telemetry/stream/driver.ts";
import { logsItem, recordsItem } from "#ports/telemetry/conformance.ts";
import { createReportServer, type ReportSinks } from "./report-server.ts";

const signal = new AbortController().signal;
const SIDES = { asks: reportServed, hears: reportEvents, serves: {}, emits: {} };
const ID = "0".repeat(26);

/** Sinks that keep what they get, unless told to wait or fail. */
class MemorySinks implements ReportSinks {
  readonly kept: (RecordsItem | LogsItem)[] = [];
  readonly pages: [string, string][] = [];
  before: () => Promise<void> = async () => {};

  async records(items: readonly RecordsItem[]): Promise<void> {
    await this.before();
    this.kept.push(...items);
  }

  async logs(items: readonly LogsItem[]): Promise<void> {
    await this.before();
    this.kept.push(...items);
  }

  meters({ role, instance }: { role: string; instance: string }, text: string): void {
    this.pages.push([`${role} ${instance}`, text]);
  }

  get texts() {
    return this.kept.map((item) => (item.kind === "logs" ? item.log.entries[0]?.text : item.first));
  }
}

async function createStage() {
  const clock = new SimulatedClock();
  const network = createSimulatedNetwork(clock, createSeededRandom(1), { delayMs: [1, 1] });
  const sinks = new MemorySinks();
  const lines: { level: string; message: string; first?: string; count?: number }[] = [];
  const log = createLog({ clock, write: (line) => lines.push(JSON.parse(line)) }, { level: "info" });
  const server = createReportServer({ network, clock, log, sinks }, { address: "control" });
  await server.open(signal);

  async function connect(run = "run-1", instance = "g1") {
    let closed = false;
    const messages = new MessageLink({ clock }, SIDES, {
      serve: {},
      hear: {},
      closed() {
        closed = true;
      },
    });
    const dialing = network.dial("control", "report", messages.handlers);
    await clock.advance(5);
    messages.attach(await dialing);
    const ask = <K extends keyof typeof reportServed>(name: K, value: Parameters<typeof messages.ask<K>>[1]) => {
      const asked = messages.ask(name, value, 60_000);
      asked.catch(() => {});
      return asked;
    };
    const hello = ask("hello", { role: "gateway", instance, run, pid: 7 });
    await clock.advance(5);
    return {
      hello: await hello,
      batch: (number: number, items: readonly unknown[], dropped?: number) => ask("batch", { number, items, dropped }),
      close: () => messages.close(),
      get closed() {
        return closed;
      },
    };
  }
  return { clock, network, sinks, lines, server, connect };
}

test("each kind goes to its sink, and the answer waits until it is safe", async () => {
  const { clock, sinks, connect, server } = await createStage();
  const gate = Promise.withResolvers<void>();
  sinks.before = () => gate.promise;
  const link = await connect();
  const items = [recordsItem(ID), logsItem("a"), { kind: "meters", text: "old" }, { kind: "meters", text: "new" }];
  let answer: unknown;
  void link.batch(1, items).then((value) => {
    answer = value;
  });
  await clock.advance(1_000);
  assert.equal(answer, undefined);
  gate.resolve();
  await clock.advance(10);
  assert.deepEqual(answer, { acknowledged: 1 });
  assert.deepEqual(sinks.texts, [ID, "a"]);
  assert.deepEqual(sinks.pages, [["gateway g1", "new"]]);
  const since = new Date(1_700_000_000_005).toISOString();
  assert.deepEqual(
    server.reporters().map(({ role, instance, pid }) => ({ role, instance, pid })),
    [{ role: "gateway", instance: "g1", pid: 7 }],
  );
  assert.ok((server.reporters()[0]?.since ?? "") >= since);
  link.close();
  await clock.advance(10);
  assert.deepEqual(server.reporters(), []);
});

test("a batch sent again is acknowledged and not kept again, also while the first is under way", async () => {
  const { clock, sinks, connect } = await createStage();
  const gate = Promise.withResolvers<void>();
  sinks.before = () => gate.promise;
  const first = await connect();
  void first.batch(1, [logsItem("1")]);
  void first.batch(2, [logsItem("2")]);
  await clock.advance(5);
  first.close();
  const second = await connect();
  assert.deepEqual(second.hello, { acknowledged: 0 });
  const answers = [
    second.batch(1, [logsItem("1")]),
    second.batch(2, [logsItem("2")]),
    second.batch(3, [logsItem("3")]),
  ];
  await clock.advance(5);
  gate.resolve();
  await clock.advance(10);
  assert.deepEqual((await Promise.all(answers)).at(-1), { acknowledged: 3 });
  assert.deepEqual(sinks.texts, ["1", "2", "3"]);
  const third = await connect();
  assert.deepEqual(third.hello, { acknowledged: 3 });
  const again = third.batch(2, [logsItem("2")]);
  await clock.advance(10);
  assert.deepEqual(await again, { acknowledged: 3 });
  assert.deepEqual(sinks.texts, ["1", "2", "3"]);
});

test("another run counts from the start, what the old one dropped is not forgotten", async () => {
  const { clock, sinks, connect, server } = await createStage();
  const first = await connect("run-1");
  void first.batch(1, [logsItem("1")], 5);
  await clock.advance(10);
  const second = await connect("run-2");
  assert.deepEqual(second.hello, { acknowledged: 0 });
  void second.batch(1, [logsItem("2")], 2);
  void second.batch(2, [logsItem("3")], 3);
  await clock.advance(10);
  assert.deepEqual(sinks.texts, ["1", "2", "3"]);
  assert.deepEqual(server.dropped(), { g1: 8 });
  assert.equal(server.reporters().length, 1);
});

test("malformed items are refused, named and counted; their neighbours are kept", async () => {
  const { clock, sinks, connect, server, lines } = await createStage();
  const link = await connect();
  const items = [
    logsItem("good"),
    { kind: "logs", tenant: "../etc" },
    7,
    { kind: "other" },
    recordsItem("short"),
    recordsItem(ID),
  ];
  const answer = link.batch(1, items);
  await clock.advance(10);
  assert.deepEqual(await answer, { acknowledged: 1 });
  assert.deepEqual(sinks.texts, [ID, "good"]);
  assert.deepEqual(server.dropped(), { g1: 4 });
  const warning = lines.find(({ level }) => level === "warn");
  assert.deepEqual([warning?.count, warning?.first], [4, 'items[1].tenant: expected a name, got "../etc"']);
});

test("a batch before hello is refused", async () => {
  const { clock, network } = await createStage();
  const messages = new MessageLink({ clock }, SIDES, { serve: {}, hear: {}, closed() {} });
  const dialing = network.dial("control", "report", messages.handlers);
  await clock.advance(5);
  messages.attach(await dialing);
  const early = messages.ask("batch", { number: 1, items: [] }, 1_000);
  early.catch(() => {});
  await clock.advance(5);
  await assert.rejects(early, /expected hello first/);
});

test("what a sink could not keep is not acknowledged, nor what came behind it; the link is closed", async () => {
  const { clock, sinks, connect } = await createStage();
  const link = await connect();
  void link.batch(1, [logsItem("1")]);
  await clock.advance(5);
  const gate = Promise.withResolvers<void>();
  sinks.before = () => gate.promise;
  const failing = link.batch(2, [logsItem("2")]);
  const behind = link.batch(3, [logsItem("3")]);
  await clock.advance(5);
  gate.reject(new Error("disk full"));
  await clock.advance(20);
  await assert.rejects(failing, /disk full/);
  await assert.rejects(behind);
  assert.equal(link.closed, true);
  sinks.before = async () => {};
  const again = await connect();
  assert.deepEqual(again.hello, { acknowledged: 1 });
  const answers = [again.batch(2, [logsItem("2")]), again.batch(3, [logsItem("3")])];
  await clock.advance(10);
  assert.deepEqual((await Promise.all(answers)).at(-1), { acknowledged: 3 });
  assert.deepEqual(sinks.texts, ["1", "2", "3"]);
});

test("a batch that comes in between a failure and the link's end is refused too: it would leave a hole", async () => {
  const { clock, sinks, connect } = await createStage();
  const link = await connect();
  sinks.before = () => new Promise((_, reject) => clock.after(10, () => reject(new Error("disk full"))));
  const failing = link.batch(1, [logsItem("1")]);
  await clock.advance(10);
  sinks.before = async () => {};
  // Arrives in the moment in which the first one fails, and after that.
  const behind = link.batch(2, [logsItem("2")]);
  await clock.advance(10);
  await assert.rejects(failing, /disk full/);
  await assert.rejects(behind);
  assert.deepEqual(sinks.texts, []);
  assert.deepEqual((await connect()).hello, { acknowledged: 0 });
});

test("records are stored before logs are written: only they can be stored twice without harm", async () => {
  const { clock, sinks, connect } = await createStage();
  const order: string[] = [];
  sinks.records = async () => void order.push("records");
  sinks.logs = async () => {
    order.push("logs");
    throw new Error("disk full");
  };
  const link = await connect();
  const answer = link.batch(1, [logsItem("1"), recordsItem(ID)]);
  await clock.advance(10);
  await assert.rejects(answer, /disk full/);
  assert.deepEqual(order, ["records", "logs"]);
});

test("instances that have been gone for long are forgotten", async () => {
  const { clock, connect, server } = await createStage();
  const old = await connect("run-1", "g1");
  void old.batch(1, [], 4);
  await clock.advance(10);
  old.close();
  await clock.advance(3_000_000);
  const staying = await connect("run-2", "g2");
  assert.deepEqual(server.dropped(), { g1: 4, g2: 0 });
  await clock.advance(700_000);
  await connect("run-3", "g3");
  assert.deepEqual(Object.keys(server.dropped()), ["g2", "g3"]);
  assert.equal(staying.closed, false);
});

for (let seed = 1; seed <= 10; seed++) {
  test(`whatever is cut and whatever fails, each item is kept once, in order (seed ${seed})`, async () => {
    const clock = new SimulatedClock();
    const random = createSeededRandom(seed);
    const network = createSimulatedNetwork(clock, random, { delayMs: [0, 30] });
    const deps = { network, clock, random, log: createSilentLog() };
    const sinks = new MemorySinks();
    sinks.before = async () => {
      const delay = Promise.withResolvers<void>();
      clock.after(random.below(40), delay.resolve);
      await delay.promise;
      if (random.below(10) === 0) throw new Error("disk full");
    };
    const server = createReportServer({ ...deps, sinks }, { address: "control" });
    await server.open(signal);
    const senders = ["g1", "g2"].map((instance) =>
      createStreamTelemetry(deps, { address: "control", role: "gateway", instance, pid: 1 }),
    );
    await Promise.all(senders.map((sender) => sender.open(signal)));
    for (let turn = 0; turn < 300; turn++) {
      senders[turn % 2]?.add(logsItem(`${turn}`));
      if (random.below(8) === 0) network.cutOne();
      await clock.advance(random.below(100));
    }
    await clock.advance(60_000);
    for (const parity of [0, 1]) {
      const came = sinks.texts.map(Number).filter((turn) => turn % 2 === parity);
      assert.deepEqual(
        came,
        Array.from({ length: 150 }, (_, index) => index * 2 + parity),
      );
    }
    assert.deepEqual(server.dropped(), { g1: 0, g2: 0 });
    const closing = Promise.all(senders.map((sender) => sender.close()));
    await clock.advance(5_000);
    await closing;
    await server.close();
  });
}

test("over a real socket", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-report-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const address = join(folder, "report.sock");
  const deps = {
    network: createSocketNetwork(),
    clock: createSystemClock(),
    random: createSystemRandom(),
    log: createSilentLog(),
  };
  const sinks = new MemorySinks();
  const server = createReportServer({ ...deps, sinks }, { address });
  await server.open(signal);
  const sender = createStreamTelemetry(deps, { address, role: "gateway", instance: "g1", pid: 1 });
  await sender.open(signal);
  const large = "x".repeat(15_000);
  for (let index = 0; index < 200; index++) sender.add(logsItem(`${index} ${large}`));
  const arrived = Promise.withResolvers<void>();
  sinks.meters = () => arrived.resolve();
  sender.add({ kind: "meters", text: "colibri_a 1\n" });
  await arrived.promise;
  await sender.close();
  assert.deepEqual(
    sinks.texts.map((text) => Number.parseInt(`${text}`, 10)),
    [...Array(200).keys()],
  );
  assert.equal(sender.dropped, 0);
  await server.close();
});
