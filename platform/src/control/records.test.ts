import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { createIds, idFloor } from "#base/ids.ts";
import { createLog } from "#base/log.ts";
import { createSeededRandom, type Random } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { RecordRow, RecordsItem } from "#contract/report/report.ts";
import { createRecords, type RecordsOptions } from "./records.ts";

const ref = { tenant: "acme", app: "shop", function: "thumb" };
const signal = new AbortController().signal;
const START_MS = 1_700_000_000_000;

const rowOf = (id: string, outcome: RecordRow[2] = "ok"): RecordRow => [
  id,
  "r1",
  outcome,
  outcome === "ok" ? 200 : 500,
  START_MS + 0.125,
  1.5,
  0,
  12.345,
  10,
  20,
  "s1",
  "http",
];
function batchOf(rows: readonly RecordRow[], of: Partial<typeof ref> = {}): RecordsItem {
  const [first, last] = [rows[0]![0], rows.at(-1)![0]];
  return { kind: "records", ...ref, ...of, first, last, count: rows.length, rows: JSON.stringify(rows) };
}
/** An id of that moment. */
const idAt = (ms: number, suffix = "") => idFloor(START_MS + ms).slice(0, 26 - suffix.length) + suffix;

async function createStage(t: TestContext, options: Partial<RecordsOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "colibri-records-"));
  const clock = new SimulatedClock(START_MS);
  const lost: string[] = [];
  const lines: { level: string; message: string }[] = [];
  const log = createLog({ clock, write: (line) => lines.push(JSON.parse(line)) }, { level: "info" });
  const path = join(folder, "control", "records.db");
  const make = () => createRecords({ clock, log, onLost: (error) => lost.push(error.message) }, { path, ...options });
  const records = make();
  await records.open(signal);
  t.after(async () => {
    await records.close();
    rmSync(folder, { recursive: true });
  });
  const ids = async (query: { limit?: number; cursor?: string; outcome?: string } = {}, of = ref) => {
    const page = await records.list(of, { limit: 100, ...query });
    return page.items.map(({ id }) => id);
  };
  const all = async (limit: number, outcome?: string) => {
    const found: string[] = [];
    let cursor: string | undefined;
    do {
      const page = await records.list(ref, { limit, cursor, outcome });
      assert.ok(page.items.length <= limit);
      found.push(...page.items.map(({ id }) => id));
      cursor = page.next;
    } while (cursor !== undefined);
    return found;
  };
  const count = () => {
    const database = new DatabaseSync(path, { readOnly: true });
    const row = database.prepare("SELECT count(*) AS batches, min(first) AS first FROM batches").get();
    database.close();
    return row as { batches: number; first: string | null };
  };
  return { path, clock, records, lost, make, lines, ids, all, count };
}

test("a record comes back as it was told", async (t) => {
  const { records } = await createStage(t);
  const row = rowOf(idAt(5), "function-error");
  await records.append([batchOf([row])]);
  const expected = {
    id: row[0],
    function: "thumb",
    revision: "r1",
    outcome: "function-error",
    status: 500,
    startedAt: "2023-11-14T22:13:20.000Z",
    waitMs: 1.5,
    coldMs: 0,
    runMs: 12.345,
    bodyBytes: 10,
    answerBytes: 20,
    sandbox: "s1",
    trigger: "http",
  };
  assert.deepEqual(await records.get(ref, row[0]), expected);
  assert.deepEqual(await records.list(ref, { limit: 10 }), { items: [expected] });
  assert.equal(await records.get({ ...ref, tenant: "other" }, row[0]), undefined);
  assert.equal(await records.get(ref, idAt(6)), undefined);
  assert.equal(await records.get(ref, "nonsense"), undefined);
});

test("pages end where there is no more, and functions do not mix", async (t) => {
  const { records, ids } = await createStage(t);
  const mine = [1, 2, 3].map((ms) => rowOf(idAt(ms)));
  await records.append([batchOf(mine), batchOf([rowOf(idAt(2, "X"))], { tenant: "other" })]);
  const [first, second, third] = mine.map(([id]) => id);
  assert.deepEqual(await ids(), [third, second, first]);
  assert.deepEqual(await ids({}, { ...ref, tenant: "other" }), [idAt(2, "X")]);
  const page = await records.list(ref, { limit: 2 });
  assert.equal(page.next, second);
  assert.deepEqual(await records.list(ref, { limit: 2, cursor: second }), {
    items: [(await records.get(ref, first!))!],
  });
  assert.equal((await records.list(ref, { limit: 3 })).next, undefined);
  await assert.rejects(records.list(ref, { limit: 3, cursor: "'; DROP" }), /cursor: expected/);
});

/** Batches as several gateways make them: overlapping, some with invocations that began long before. */
async function randomBatches(random: Random): Promise<{ batches: RecordsItem[]; rows: RecordRow[] }> {
  const clock = new SimulatedClock(START_MS);
  const makers = [1, 2, 3].map((seed) => createIds(clock, createSeededRandom(seed)));
  const waiting: RecordRow[][] = [[], [], []];
  const long: { row: RecordRow; maker: number; turn: number }[] = [];
  const batches: RecordsItem[] = [];
  const rows: RecordRow[] = [];
  for (let turn = 0; turn < 2_000; turn++) {
    const maker = random.below(3);
    const row = rowOf(makers[maker]!.next(), random.below(9) === 0 ? "function-timeout" : "ok");
    rows.push(row);
    if (random.below(10) === 0) long.push({ row, maker, turn: turn + random.below(400) });
    else waiting[maker]!.push(row);
    for (const late of long.filter((one) => one.turn <= turn)) {
      waiting[late.maker]!.push(late.row);
      long.splice(long.indexOf(late), 1);
    }
    if (random.below(20) === 0) flush(maker);
    await clock.advance(random.below(2_000));
  }
  function flush(maker: number): void {
    const sorted = waiting[maker]!.splice(0).sort((a, b) => (a[0] < b[0] ? -1 : 1));
    if (sorted.length > 0) batches.push(batchOf(sorted));
  }
  waiting[0]!.push(...long.map(({ row }) => row));
  for (const maker of [0, 1, 2]) flush(maker);
  return { batches, rows };
}

for (let seed = 1; seed <= 4; seed++) {
  test(`batches may overlap and span hours: pages give all, once, newest first (seed ${seed})`, async (t) => {
    const { records, all } = await createStage(t);
    const { batches, rows } = await randomBatches(createSeededRandom(seed));
    for (const batch of batches) await records.append([batch]);
    const expected = rows
      .map(([id]) => id)
      .sort()
      .reverse();
    assert.deepEqual(await all(1_000), expected);
    assert.deepEqual(await all(37), expected);
    const failed = rows
      .filter((row) => row[2] !== "ok")
      .map(([id]) => id)
      .sort()
      .reverse();
    assert.deepEqual(await all(10, "function-timeout"), failed);
    for (const id of expected.filter((_, index) => index % 101 === 0))
      assert.equal((await records.get(ref, id))?.id, id);
  });
}

test("a batch that is put again changes nothing, also when it is cut in parts", async (t) => {
  const { records, all, count } = await createStage(t);
  const wide = batchOf([0, 30_000, 70_000, 200_000, 201_000].map((ms) => rowOf(idAt(ms))));
  const narrow = batchOf([rowOf(idAt(5))]);
  await records.append([wide, narrow]);
  const { batches } = count();
  assert.equal(batches, 4);
  await Promise.all([records.append([wide]), records.append([narrow, wide])]);
  assert.equal(count().batches, batches);
  assert.equal((await all(100)).length, 6);
});

test("a search that finds little gives up a page in time, and the next goes on where it stopped", async (t) => {
  const { records, all } = await createStage(t);
  const sandbox = "x".repeat(800_000);
  const large = (ms: number): RecordRow => [...rowOf(idAt(ms)).slice(0, 10), sandbox, "http"] as unknown as RecordRow;
  await records.append([batchOf([rowOf(idAt(0), "out-of-memory")])]);
  for (let ms = 1; ms <= 50; ms++) await records.append([batchOf([large(ms)])]);
  await records.append([batchOf([rowOf(idAt(60), "out-of-memory")])]);
  const page = await records.list(ref, { limit: 10, outcome: "out-of-memory" });
  assert.deepEqual([page.items.length, page.next === undefined], [1, false]);
  assert.deepEqual(await all(10, "out-of-memory"), [idAt(60), idAt(0)]);
});

test("puts at the same time are committed together, each is answered", async (t) => {
  const { records, all } = await createStage(t);
  await Promise.all(Array.from({ length: 500 }, (_, ms) => records.append([batchOf([rowOf(idAt(ms))])])));
  assert.equal((await all(1_000)).length, 500);
});

test("rows that are none are left out, a batch of garbage is refused or skipped, neighbours stay", async (t) => {
  const { records, all, lines } = await createStage(t);
  const good = rowOf(idAt(1));
  const mixed = { ...batchOf([good]), rows: JSON.stringify([good, 7, ["x"], [...rowOf(idAt(2))].fill("1", 3, 4)]) };
  const narrow = { ...batchOf([rowOf(idAt(3))]), rows: "{torn" };
  const wide = { ...batchOf([rowOf(idAt(4)), rowOf(idAt(900_000))]), rows: "{torn" };
  await records.append([mixed, narrow, wide, batchOf([rowOf(idAt(5))])]);
  assert.deepEqual(await all(10), [idAt(5), idAt(1)]);
  assert.equal(lines.filter(({ message }) => message.includes("refused")).length, 1);
  assert.equal(await records.get(ref, idAt(3)), undefined);
});

test("what is too old goes, by the clock alone", async (t) => {
  const { records, clock, count } = await createStage(t, { maximumAgeMs: 600_000 });
  for (let minute = 0; minute < 5; minute++) {
    await records.append([batchOf([rowOf(idAt(minute * 60_000))])]);
    await clock.advance(60_000);
  }
  assert.equal(count().batches, 5);
  // The clock is simulated, the thread is not: a call that is answered has waited for the one before it.
  for (let minute = 0; minute < 8; minute++) {
    await clock.advance(60_000);
    await records.get(ref, idAt(0));
  }
  assert.equal(count().first, idAt(180_000));
  assert.equal(count().batches, 2);
});

test("what is too much goes, the oldest first", async (t) => {
  const { records, count, path } = await createStage(t, { maximumBytes: 2_000_000 });
  const rows = Array.from({ length: 1_000 }, (_, index) => rowOf(idAt(0, `${index}`.padStart(4, "0"))));
  for (let ms = 0; ms < 60; ms++)
    await records.append([batchOf(rows.map((row) => [idAt(ms, row[0].slice(-4)), ...row.slice(1)] as never))]);
  const { batches, first } = count();
  assert.ok(batches > 5 && batches < 30, `${batches} batches`);
  assert.equal(first, idAt(60 - batches, "0000"));
  const database = new DatabaseSync(path, { readOnly: true });
  const { pages } = database.prepare("SELECT page_count AS pages FROM pragma_page_count").get() as { pages: number };
  database.close();
  assert.ok(pages * 4_096 < 2_600_000, `${pages} pages`);
});

test("removing a function's records leaves those of others", async (t) => {
  const { records, all, ids } = await createStage(t);
  const other = { ...ref, function: "other" };
  const batches = Array.from({ length: 2_500 }, (_, ms) => batchOf([rowOf(idAt(ms))]));
  await records.append([...batches, batchOf([rowOf(idAt(1))], other)]);
  await records.remove(ref);
  assert.deepEqual(await all(10), []);
  assert.deepEqual(await ids({}, other), [idAt(1)]);
});

test("what is committed is there for whoever opens the file next; close works twice", async (t) => {
  const { records, make } = await createStage(t);
  await records.append([batchOf([rowOf(idAt(1))])]);
  const again = make();
  await again.open(signal);
  assert.equal((await again.get(ref, idAt(1)))?.id, idAt(1));
  await again.close();
  await again.close();
  await assert.rejects(again.append([]), { code: "store-unavailable" });
});

test("a thread that ends unasked is told, once, and every call is settled", async (t) => {
  const started = Promise.withResolvers<Worker>();
  process.once("worker", (worker) => started.resolve(worker));
  const { records, lost } = await createStage(t);
  const worker = await started.promise;
  const waiting = records.append([batchOf([rowOf(idAt(1))])]);
  const ended = once(worker, "exit");
  void worker.terminate();
  await assert.rejects(Promise.all([waiting, records.get(ref, idAt(1))]), { code: "store-unavailable" });
  await ended;
  assert.equal(lost.length, 1);
  await assert.rejects(records.get(ref, idAt(1)), { code: "store-unavailable" });
});

test("a thread that ends while it is told to close keeps nobody waiting, and is no loss", async (t) => {
  const started = Promise.withResolvers<Worker>();
  process.once("worker", (worker) => started.resolve(worker));
  const { records, lost } = await createStage(t);
  const worker = await started.promise;
  void worker.terminate();
  await assert.rejects(records.close(), { code: "store-unavailable" });
  assert.deepEqual(lost, []);
});

test("a file that is no database, and one of a newer version, are said to be so", async (t) => {
  const { path, make, records } = await createStage(t);
  await records.close();
  const database = new DatabaseSync(path);
  database.exec("PRAGMA user_version = 9");
  database.close();
  await assert.rejects(make().open(signal), /records.db can't be opened: .*newer version \(9\)/);
  rmSync(`${path}-wal`, { force: true });
  writeFileSync(path, "this is not a database, however long one looks at it".repeat(50));
  await assert.rejects(make().open(signal), /records.db can't be opened: .*not a database/);
});
