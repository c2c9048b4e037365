import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type GuestLog, MAXIMUM_LOG_TEXT } from "#contract/guest/link.ts";
import { type ReportItem, reportItem } from "#contract/report/report.ts";
import { parse } from "#contract/shape.ts";
import { GuestLogs } from "./guest-logs.ts";

const REVISION = { tenant: "default", app: "shop", function: "thumb", revision: "r1" };

function make(bytesPerSecond = 1 << 20, entriesPerSecond = 10_000) {
  const clock = new SimulatedClock();
  const items: ReportItem[] = [];
  const telemetry = {
    open: async () => {},
    close: async () => {},
    add: (item: ReportItem) => void items.push(parse(reportItem, item, "item")),
    dropped: 0,
  };
  const logs = new GuestLogs({ clock, telemetry }, REVISION, { sandbox: "s", bytesPerSecond, entriesPerSecond });
  const passed = () => items.flatMap((item) => (item.kind === "logs" ? [item.log] : []));
  const texts = () => passed().flatMap(({ entries }) => entries.map(({ text }) => text));
  const dropped = () => passed().reduce((sum, log) => sum + (log.dropped ?? 0), 0);
  const entry = (text: string, atMs = clock.now()) => ({ atMs, stream: "stdout", level: "info", text }) as const;
  const take = (log: GuestLog) => logs.receive(JSON.stringify(log));
  return { clock, items, logs, take, passed, texts, dropped, entry };
}

test("raw output becomes lines, whole ones at once and the rest at the end", () => {
  const { logs, texts, passed } = make();
  logs.output("stderr", "one\ntw");
  logs.output("stderr", "o\nthr");
  assert.deepEqual(texts(), ["one", "two"]);
  assert.equal(passed()[0]!.entries[0]!.level, "error");
  logs.close();
  assert.deepEqual(texts(), ["one", "two", "thr"]);
});

test("a line without an end does not grow for ever, and a long one is cut", () => {
  const { logs, texts, passed } = make();
  logs.output("stdout", "x".repeat(MAXIMUM_LOG_TEXT + 1));
  assert.equal(texts()[0]!.length, MAXIMUM_LOG_TEXT);
  assert.equal(passed()[0]!.entries[0]!.truncated, true);
});

test("more bytes or entries than allowed are dropped and counted; the allowance comes back with time", async () => {
  const { clock, logs, take, texts, dropped, entry } = make(1_000, 5);
  take({ entries: [entry("a".repeat(800)), entry("b".repeat(800)), entry("c")], dropped: 3 });
  assert.deepEqual(texts(), ["a".repeat(800)]);
  await clock.advance(1_000);
  take({ entries: Array.from({ length: 8 }, (_, index) => entry(`${index}`)) });
  assert.deepEqual(texts().slice(1), ["0", "1", "2", "3", "4"]);
  logs.close();
  assert.equal(dropped(), 3 + 2 + 3);
});

test("a flood is not even read, but counted; what is no log is told where it is read", async () => {
  const { clock, logs, take, texts, dropped, entry } = make(1_000, 5);
  const flood = (count: number) => take({ entries: Array.from({ length: count }, () => entry("x".repeat(1_000))) });
  flood(5);
  logs.receive('{"entries":["atMs": nonsense');
  flood(7);
  await clock.advance(2_000);
  take({ entries: [entry("later")] });
  assert.deepEqual(texts(), ["later"]);
  assert.equal(dropped(), 5 + 1 + 7);
  assert.throws(() => logs.receive("nonsense"), /LOG/);
});

test("items stay small enough for a frame, and a guest can't write into the future", () => {
  const { clock, items, take, passed, entry } = make();
  take({ entries: Array.from({ length: 40 }, () => entry("x".repeat(16_000), 9e15)) });
  assert.ok(items.length > 1);
  for (const item of items) assert.ok(JSON.stringify(item).length < 300_000);
  assert.ok(passed().every(({ entries }) => entries.every(({ atMs }) => atMs <= clock.now() + 1_000)));
});
