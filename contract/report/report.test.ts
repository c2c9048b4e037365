import assert from "node:assert/strict";
import { test } from "node:test";
import { holdToVectors, readVectors } from "../link/message-vectors.ts";
import { parse } from "../shape.ts";
import { RECORD_FIELDS, type RecordsItem, reportEvents, reportItem, reportRequests, reportServed } from "./report.ts";

const vectors = readVectors(new URL("./vectors.json", import.meta.url));
const batches = vectors.valid.filter(({ kind, name }) => kind === "request" && name === "batch");

test("messages are the bytes that the vectors say, and nothing else is taken", () => {
  holdToVectors(vectors, reportRequests, reportEvents);
});

test("control takes a batch whatever its items are, and tells each good one from each bad", () => {
  const good = batches.flatMap(({ value }) => (value as { items: unknown[] }).items);
  for (const item of good) assert.equal(reportItem.check(item, ""), undefined);
  const items = [...good, 7, { kind: "traces" }, { ...(good[0] as object), tenant: ".." }];
  const batch = parse(reportServed.batch.request, { number: 1, items }, "batch");
  assert.deepEqual(
    batch.items.filter((item) => reportItem.check(item, "") !== undefined),
    items.slice(good.length),
  );
  assert.throws(
    () => parse(reportServed.batch.request, { number: 1, items: "none" }, "batch"),
    /batch.items: expected/,
  );
});

test("a row of records has as many fields as are named", () => {
  const item = batches.flatMap(({ value }) => (value as { items: RecordsItem[] }).items)[0]!;
  const rows = JSON.parse(item.rows) as unknown[][];
  assert.deepEqual(
    rows.map((row) => row.length),
    [RECORD_FIELDS.length],
  );
  assert.deepEqual([rows.length, rows[0]?.[0]], [item.count, item.first]);
});
