import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { LogLine } from "#contract/api/resources.ts";
import type { LogsItem } from "#contract/report/report.ts";
import { LogReader } from "./function-logs/reader.ts";
import { createFunctionLogs, type FunctionLogsOptions, type LogQuery } from "./function-logs.ts";

const ref = { tenant: "acme", app: "shop", function: "thumb" };
const INVOCATION = "01HZY".padEnd(26, "A");
const START_MS = 1_700_000_000_000;
const LIMITS = { maximumFileBytes: 1_000_000, maximumFiles: 10, maximumFunctionBytes: 100_000_000 };

type Entry = LogsItem["log"]["entries"][number];
function item(texts: readonly string[], entry: Partial<Entry> = {}, log: { dropped?: number } = {}): LogsItem {
  const entries = texts.map((text): Entry => ({ atMs: START_MS, stream: "stdout", level: "info", text, ...entry }));
  return { kind: "logs", ...ref, revision: "r1", sandbox: "s1", log: { entries, ...log } };
}

function createStage(t: TestContext, options: Partial<FunctionLogsOptions> = {}) {
  const root = mkdtempSync(join(tmpdir(), "colibri-logs-"));
  const make = () =>
    createFunctionLogs(
      { clock: new SimulatedClock(), log: createSilentLog() },
      { ...LIMITS, folder: join(root, "logs"), ...options },
    );
  const logs = make();
  t.after(async () => {
    await logs.close();
    rmSync(root, { recursive: true });
  });
  const folder = join(root, "logs", "acme", "shop", "thumb");
  const read = async (query: LogQuery = {}) => {
    const lines: LogLine[] = [];
    for await (const line of logs.read(ref, query, new AbortController().signal)) lines.push(line);
    return lines;
  };
  const files = () =>
    (existsSync(folder) ? readdirSync(folder) : []).map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
  return {
    root,
    folder,
    logs,
    make,
    read,
    files,
    texts: async (query?: LogQuery) => (await read(query)).map(({ text }) => text),
  };
}

/** Takes lines one by one, as many as asked for. */
function follow(logs: { read: ReturnType<typeof createFunctionLogs>["read"] }, query: LogQuery = {}) {
  const abort = new AbortController();
  const lines = logs.read(ref, { follow: true, ...query }, abort.signal)[Symbol.asyncIterator]();
  return {
    abort: () => abort.abort(),
    next: async () => (await lines.next()).value?.text as string | undefined,
    async take(count: number) {
      const texts: (string | undefined)[] = [];
      while (texts.length < count) texts.push((await lines.next()).value?.text);
      return texts;
    },
  };
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `line ${from + index}`);

test("lines come back as they were written, oldest first, with all that was known of them", async (t) => {
  const { logs, read } = createStage(t);
  await logs.append([
    item(["plain"]),
    item(['quotes " \n é 😀'], { invocation: INVOCATION, stream: "stderr", level: "error" }),
  ]);
  const at = new Date(START_MS).toISOString();
  const from = { at, function: "thumb", revision: "r1", sandbox: "s1" };
  assert.deepEqual(await read(), [
    { ...from, stream: "stdout", level: "info", text: "plain" },
    { ...from, invocation: INVOCATION, stream: "stderr", level: "error", text: 'quotes " \n é 😀' },
  ]);
});

test("what was dropped is told by a line of the platform, before the lines that came after", async (t) => {
  const { logs, read } = createStage(t);
  await logs.append([item(["after"], {}, { dropped: 1_234 }), item([], {}, { dropped: 1 })]);
  const lines = await read();
  assert.deepEqual(
    lines.map(({ stream, level, text }) => [stream, level, text]),
    [
      ["platform", "warn", "1,234 lines dropped: more than its log takes"],
      ["stdout", "info", "after"],
      ["platform", "warn", "1 line dropped: more than its log takes"],
    ],
  );
});

test("a time that no clock can show does not hurt", async (t) => {
  const { logs, read } = createStage(t);
  await logs.append([item(["odd"], { atMs: 1e300 })]);
  assert.equal((await read())[0]?.at, new Date(START_MS).toISOString());
});

test("functions have files of their own, and no name leads elsewhere", async (t) => {
  const { logs, root, texts } = createStage(t);
  await logs.append([item(["mine"]), { ...item(["other's"]), tenant: "other" }]);
  assert.deepEqual(await texts(), ["mine"]);
  assert.deepEqual(readdirSync(join(root, "logs")).sort(), ["acme", "other"]);
  await assert.rejects(logs.append([{ ...item(["x"]), tenant: ".." }]), /not a function/);
});

test("files rotate by size, and the oldest go when there are too many", async (t) => {
  const { logs, folder, files, texts } = createStage(t, { maximumFileBytes: 1_000, maximumFiles: 4 });
  for (let index = 0; index < 100; index++) await logs.append([item([`line ${index}`])]);
  assert.equal(files().length, 4);
  for (const number of files()) assert.ok(statSync(join(folder, `${number}.ndjson`)).size <= 1_000);
  const kept = await texts();
  assert.deepEqual(kept, numbered(100 - kept.length, 100));
  assert.ok(kept.length > 10);
});

test("the oldest go when a function has too many bytes; a line larger than a file has one to itself", async (t) => {
  const { logs, folder, files, texts } = createStage(t, { maximumFileBytes: 1_000, maximumFunctionBytes: 5_000 });
  await logs.append([item(["before", "x".repeat(3_000), "after"])]);
  assert.deepEqual(files(), [1, 2, 3]);
  await logs.append([item(numbered(0, 200))]);
  const total = files().reduce((sum, number) => sum + statSync(join(folder, `${number}.ndjson`)).size, 0);
  assert.ok(total <= 5_000 && total > 3_000, `${total} bytes`);
  assert.equal((await texts()).at(-1), "line 199");
});

test("appends at the same time keep their order and share writes", async (t) => {
  const { logs, texts } = createStage(t);
  await Promise.all(numbered(0, 500).map((text) => logs.append([item([text])])));
  assert.deepEqual(await texts(), numbered(0, 500));
});

test("a torn last line is skipped, and what is written after it is not lost", async (t) => {
  const { logs, folder, make } = createStage(t);
  await logs.append([item(["whole"])]);
  await logs.close();
  appendFileSync(join(folder, "1.ndjson"), '{"at":"2023-01-01T00:00:00Z","text":"to');
  const again = make();
  await again.append([item(["next"])]);
  const texts: string[] = [];
  for await (const { text } of again.read(ref, {}, new AbortController().signal)) texts.push(text);
  await again.close();
  assert.deepEqual(texts, ["whole", "next"]);
  assert.equal(readFileSync(join(folder, "1.ndjson"), "utf8").split("\n").length, 4);
});

test("what is no line of a log is skipped", async (t) => {
  const { logs, folder, texts } = createStage(t);
  await logs.append([item(["whole"])]);
  const line = JSON.parse(readFileSync(join(folder, "1.ndjson"), "utf8"));
  const others = [
    { at: line.at, text: "no more" },
    { ...line, level: "loud" },
    { ...line, invocation: 7 },
    [],
    null,
    1,
  ];
  appendFileSync(join(folder, "1.ndjson"), others.map((other) => `${JSON.stringify(other)}\n`).join(""));
  assert.deepEqual(await texts(), ["whole"]);
});

test("tail is found from the end, over files and blocks, torn ends and filters", async (t) => {
  const { logs, folder, texts, files } = createStage(t, { maximumFileBytes: 200_000, maximumFiles: 100 });
  const random = createSeededRandom(1);
  const all: string[] = [];
  for (let index = 0; index < 600; index++) {
    const text = `${index} ${"é".repeat(random.below(3) === 0 ? random.below(16_000) : random.below(50))}`;
    all.push(text);
    await logs.append([item([text], index % 7 === 0 ? { invocation: INVOCATION } : {})]);
  }
  appendFileSync(join(folder, `${files().at(-1)}.ndjson`), `{"torn":"${"x".repeat(100_000)}`);
  assert.ok(files().length > 5);
  for (const tail of [0, 1, 2, 50, 599, 600, 1_000])
    assert.deepEqual(await texts({ tail }), tail === 0 ? [] : all.slice(-tail));
  const ofInvocation = all.filter((_, index) => index % 7 === 0);
  assert.deepEqual(await texts({ invocation: INVOCATION }), ofInvocation);
  assert.deepEqual(await texts({ invocation: INVOCATION, tail: 20 }), ofInvocation.slice(-20));
});

test("since leaves out what is older", async (t) => {
  const { logs, texts } = createStage(t);
  for (let minute = 0; minute < 5; minute++)
    await logs.append([item([`minute ${minute}`], { atMs: START_MS + minute * 60_000 })]);
  const since = new Date(START_MS + 180_000).toISOString();
  assert.deepEqual(await texts({ since }), ["minute 3", "minute 4"]);
  assert.deepEqual(await texts({ since, tail: 1 }), ["minute 4"]);
  assert.deepEqual(await texts({ since: "2999-01-01T00:00:00Z" }), []);
  assert.throws(() => logs.read(ref, { since: "yesterday" }, new AbortController().signal), /expected a time such as/);
});

test("following gives what comes, from the first line on if there is none yet, and ends when told", async (t) => {
  const { logs } = createStage(t);
  const reader = follow(logs);
  const first = reader.next();
  await logs.append([item(["first"])]);
  assert.equal(await first, "first");
  const second = reader.next();
  await logs.append([item(["second", "third"])]);
  assert.deepEqual([await second, await reader.next()], ["second", "third"]);
  const ended = reader.next();
  reader.abort();
  assert.equal(await ended, undefined);
});

test("a line that is half written is given when it is whole", async (t) => {
  const { logs, folder } = createStage(t);
  await logs.append([item(["first"])]);
  const file = join(folder, "1.ndjson");
  const line = readFileSync(file, "utf8").replace("first", "halved");
  appendFileSync(file, line.slice(0, 20));
  const waits = Promise.withResolvers<void>();
  const changed = Promise.withResolvers<void>();
  const changedSince = () => {
    waits.resolve();
    return changed.promise;
  };
  const writer = { folder, version: 0, generation: 0, changedSince };
  const options = { functionName: "thumb", query: { follow: true }, signal: new AbortController().signal };
  const lines = new LogReader({ clock: new SimulatedClock(), writer }, options).lines();
  assert.equal((await lines.next()).value?.text, "first");
  const next = lines.next();
  await waits.promise;
  appendFileSync(file, line.slice(20));
  changed.resolve();
  assert.equal((await next).value?.text, "halved");
  await lines.return(undefined);
});

test("following starts behind the tail asked for, and filters", async (t) => {
  const { logs } = createStage(t);
  await logs.append([item(["a"]), item(["b"]), item(["c"])]);
  const two = follow(logs, { tail: 2 });
  assert.deepEqual(await two.take(2), ["b", "c"]);
  const later = follow(logs, { since: "2999-01-01T00:00:00Z" });
  const one = follow(logs, { invocation: INVOCATION });
  const waiting = Promise.all([later.next(), one.next()]);
  const marked = { invocation: INVOCATION, atMs: Date.parse("2999-01-02T00:00:00Z") };
  await logs.append([item(["other"]), item(["new"], marked)]);
  assert.deepEqual(await waiting, ["new", "new"]);
  for (const reader of [two, later, one]) reader.abort();
});

test("following with a tail of 0 gives only what is new", async (t) => {
  const { logs } = createStage(t);
  await logs.append([item(["old"])]);
  const reader = follow(logs, { tail: 0 });
  let got: string | undefined;
  const first = reader.next().then((text) => {
    got = text;
  });
  // Where it starts can't be seen from outside: something new is written until it has started.
  while (got === undefined) await logs.append([item(["new"])]);
  await first;
  assert.equal(got, "new");
  reader.abort();
});

for (let seed = 1; seed <= 4; seed++) {
  test(`followers see every line once across rotations, however slow (seed ${seed})`, async (t) => {
    const { logs, files } = createStage(t, { maximumFileBytes: 2_000, maximumFiles: 1_000 });
    const random = createSeededRandom(seed);
    const readers = [follow(logs), follow(logs), follow(logs)];
    const reading = readers.map((reader) => reader.take(1_000));
    for (let line = 0; line < 1_000; ) {
      const until = Math.min(1_000, line + 1 + random.below(40));
      const appended = logs.append([item(numbered(line, until))]);
      if (random.below(2) === 0) await appended;
      line = until;
    }
    for (const texts of await Promise.all(reading)) assert.deepEqual(texts, numbered(0, 1_000));
    assert.ok(files().length > 20);
    for (const reader of readers) reader.abort();
  });
}

test("a follower that is too slow is told what it missed, and goes on", async (t) => {
  const { logs, texts } = createStage(t, { maximumFileBytes: 1_000, maximumFiles: 3 });
  await logs.append([item(["line 0"])]);
  const reader = follow(logs);
  assert.equal(await reader.next(), "line 0");
  for (let line = 1; line < 200; line++) await logs.append([item([`line ${line}`])]);
  const rest = await texts();
  // The file it was in the middle of is read to its end, though it is gone.
  const before = [];
  let text = await reader.next();
  for (; text?.startsWith("line "); text = await reader.next()) before.push(text);
  assert.deepEqual(before, numbered(1, 1 + before.length));
  assert.match(`${text}`, /lines removed before they could be read/);
  assert.deepEqual(await reader.take(rest.length), rest);
  reader.abort();
});

test("removing a function's log ends its readers and leaves nothing; the next line starts anew", async (t) => {
  const { logs, root, texts } = createStage(t);
  await logs.append([item(["old"])]);
  const reader = follow(logs);
  await reader.next();
  const ended = reader.next();
  const removing = logs.remove(ref);
  const after = logs.append([item(["new"])]);
  await Promise.all([removing, after]);
  assert.equal(await ended, undefined);
  assert.deepEqual(await texts(), ["new"]);
  await logs.remove(ref);
  assert.deepEqual(readdirSync(join(root, "logs")), []);
  await logs.remove(ref);
});

test("no more files are open than the limit, and each is written where it left off", async (t) => {
  const { logs, root } = createStage(t, { maximumOpenFiles: 3 });
  const functions = numbered(0, 20).map((_, index) => ({ ...ref, function: `f${index}` }));
  const openUnder = () =>
    readdirSync("/proc/self/fd").filter((fd) => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(root);
      } catch {
        return false;
      }
    }).length;
  for (let round = 0; round < 3; round++) {
    for (const one of functions) {
      await logs.append([{ ...item([`round ${round}`]), ...one }]);
      assert.ok(openUnder() <= 4, `${openUnder()} open`);
    }
  }
  for (const one of functions) {
    const texts: string[] = [];
    for await (const { text } of logs.read(one, {}, new AbortController().signal)) texts.push(text);
    assert.deepEqual(texts, ["round 0", "round 1", "round 2"]);
  }
  await logs.close();
  assert.equal(openUnder(), 0);
});

test("a disk that refuses is told to whoever appends, and what comes later is kept", async (t) => {
  const { logs, root, texts } = createStage(t);
  appendFileSync(join(root, "logs"), "a file where the folder should be");
  await assert.rejects(logs.append([item(["refused"])]), /EEXIST|ENOTDIR/);
  rmSync(join(root, "logs"));
  await logs.append([item(["after"])]);
  assert.deepEqual(await texts(), ["after"]);
});

test("close ends followers", async (t) => {
  const { logs } = createStage(t);
  await logs.append([item(["a"])]);
  const reader = follow(logs);
  assert.equal(await reader.next(), "a");
  const ended = reader.next();
  await logs.close();
  assert.equal(await ended, undefined);
});
