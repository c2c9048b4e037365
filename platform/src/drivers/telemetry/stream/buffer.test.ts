import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { BATCH_BYTES, BATCH_ITEMS, type ReportItem } from "#contract/report/report.ts";
import { logsItem, recordsItem } from "#ports/telemetry/conformance.ts";
import { ReportBuffer } from "./buffer.ts";

const ROOMY = { maximumBytes: 64 * 1024 * 1024, maximumItems: 100_000 };
const ids = ["01", "02", "03", "04"].map((text) => text.padEnd(26, "0")) as [string, string, string, string];

function takeAll(buffer: ReportBuffer): ReportItem[][] {
  const batches: ReportItem[][] = [];
  for (let batch = buffer.take(); batch.length > 0; batch = buffer.take()) batches.push(batch);
  return batches;
}

test("room is made from the oldest logs, then the oldest records; a log displaces no record", () => {
  const buffer = new ReportBuffer({ ...ROOMY, maximumItems: 3 });
  const records = ids.map((id) => recordsItem(id));
  const [first, second, third, fourth] = records as [ReportItem, ReportItem, ReportItem, ReportItem];
  for (const item of [logsItem("1"), first, logsItem("2"), second]) buffer.add(item);
  assert.equal(buffer.dropped, 1);
  buffer.add(third);
  assert.equal(buffer.dropped, 2);
  buffer.add(logsItem("3"));
  assert.equal(buffer.dropped, 3);
  buffer.add(fourth);
  assert.equal(buffer.dropped, 4);
  assert.deepEqual(takeAll(buffer).flat(), [second, third, fourth]);
});

test("it holds no more bytes than it may, and knows when it is empty", () => {
  const buffer = new ReportBuffer({ ...ROOMY, maximumBytes: 100_000 });
  const random = createSeededRandom(1);
  for (let index = 0; index < 2_000; index++) {
    const text = "x".repeat(random.below(3_000));
    buffer.add(random.below(2) === 0 ? logsItem(text) : recordsItem(ids[0], text));
    if (random.below(20) === 0) buffer.add({ kind: "meters", text });
    if (random.below(50) === 0) buffer.take();
    assert.ok(buffer.bytes <= 100_000);
  }
  takeAll(buffer);
  assert.deepEqual([buffer.bytes, buffer.length], [0, 0]);
});

test("every batch fits a frame, whatever the texts are", () => {
  const buffer = new ReportBuffer(ROOMY);
  const random = createSeededRandom(2);
  const batches: ReportItem[][] = [];
  const nasty = ["a", "é", '"', "\u0000", "\ud800", "\n", "😀"];
  const text = () => nasty[random.below(nasty.length)]!.repeat(random.below(16_000));
  for (let index = 0; index < 300; index++) {
    const entries = Array.from({ length: 1 + random.below(30) }, () => logsItem(text()).log.entries[0]!);
    buffer.add({ ...logsItem(""), log: { entries, dropped: 1 } });
    buffer.add(recordsItem(ids[0], JSON.stringify([text()]).slice(0, 400_000)));
    buffer.add({ kind: "meters", text: text().replaceAll("\u0000", "") });
    if (buffer.bytes > 10_000_000) batches.push(...takeAll(buffer));
  }
  batches.push(...takeAll(buffer));
  assert.equal(buffer.dropped, 0);
  for (const items of batches) assert.ok(Buffer.byteLength(JSON.stringify(items)) <= BATCH_BYTES + 1_000);
});

test("a batch has no more items than a message may", () => {
  const buffer = new ReportBuffer(ROOMY);
  for (let index = 0; index < BATCH_ITEMS + 5; index++) buffer.add(logsItem("x"));
  assert.deepEqual(
    takeAll(buffer).map(({ length }) => length),
    [BATCH_ITEMS, 5],
  );
});

test("logs too large for a batch are cut in two until they fit; what can't be cut is dropped", () => {
  const buffer = new ReportBuffer(ROOMY);
  const entry = logsItem("\u0001".repeat(10_000)).log.entries[0]!;
  buffer.add({ ...logsItem(""), log: { entries: Array(50).fill(entry), dropped: 7 } });
  const logs = takeAll(buffer)
    .flat()
    .flatMap((item) => (item.kind === "logs" ? [item.log] : []));
  assert.equal(logs.flatMap(({ entries }) => entries).length, 50);
  assert.deepEqual(logs.map(({ dropped }) => dropped).filter(Boolean), [7]);
  assert.ok(logs.length > 1);
  buffer.add(recordsItem(ids[0], '"'.repeat(899_999)));
  assert.deepEqual([buffer.dropped, buffer.length], [1, 0]);
  buffer.add(recordsItem(ids[0], "1".repeat(899_999)));
  assert.deepEqual([buffer.dropped, buffer.length], [1, 1]);
});
