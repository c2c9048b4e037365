import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { InvocationRecord, LogLine } from "#contract/api/resources.ts";
import { type FunctionRef, functionKey } from "#contract/names.ts";
import { type Client, type Medium, makeMedium, startControl, type TestControl } from "./control.fixture.ts";
import type { LogQuery } from "./function-logs.ts";
import type { LogReader, RecordReader } from "./history.ts";
import type { RecordQuery } from "./records.ts";

const LINE: LogLine = {
  at: "2026-01-01T00:00:00.000Z",
  function: "hello",
  revision: "r1",
  sandbox: "sandbox-1",
  stream: "stdout",
  level: "info",
  text: "hello",
};

/** Lines that never end until the reader leaves. */
class EndlessLogs implements LogReader {
  asked: LogQuery | undefined;
  left = Promise.withResolvers<void>();
  readonly removed: string[] = [];

  async remove(ref: FunctionRef): Promise<void> {
    this.removed.push(functionKey(ref));
  }

  async *read(_ref: unknown, query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    this.asked = query;
    this.left = Promise.withResolvers<void>();
    try {
      yield LINE;
      if (query.follow !== true) return;
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    } finally {
      this.left.resolve();
    }
  }
}

describe("logs and records", () => {
  const logs = new EndlessLogs();
  const pages: RecordQuery[] = [];
  const record = {
    id: "01",
    function: "hello",
    revision: "r1",
    outcome: "ok",
    status: 200,
    startedAt: LINE.at,
  } as const;
  const times = { waitMs: 0.5, coldMs: 0, runMs: 1.25, bodyBytes: 1, answerBytes: 2, sandbox: "s", trigger: "http" };
  const records: RecordReader = {
    async list(_ref, page) {
      pages.push(page);
      return {
        items: [{ ...record, ...times }] as InvocationRecord[],
        ...(page.cursor === undefined && { next: "more" }),
      };
    },
    get: async (_ref, id) => (id === "01" ? { ...record, ...times } : undefined),
    remove: async () => {
      throw new Error("records.db is on holiday");
    },
  };
  const params = { app: "shop", function: "hello" };
  let medium: Medium;
  let running: TestControl;
  let client: Client;
  before(async () => {
    medium = await makeMedium("memory");
    running = await startControl(medium, { deps: { logs, records } });
    client = running.client;
    const source = await client.upload("code");
    await client.deploy({ app: "shop", functions: { hello: { config: CONFIG, source } } });
  });
  after(async () => {
    await running.control.close();
    await medium.remove();
  });

  test("lines come as NDJSON, the query reaches the reader in its types", async () => {
    const query = { follow: false, tail: 10, since: LINE.at, invocation: "01" };
    const { body, headers } = await client.ask("readLogs", { params, query });
    assert.equal(body, `${JSON.stringify(LINE)}\n`);
    assert.match(headers.get("content-type") ?? "", /^application\/x-ndjson/);
    assert.deepEqual({ ...logs.asked }, query);
  });

  test("a wrong time or an absent function is a problem, not a stream", async () => {
    const wrong = await client.ask("readLogs", { params, query: { since: "yesterday" } });
    assert.deepEqual([wrong.status, wrong.body.code], [400, "request-invalid"]);
    assert.match(wrong.body.detail, /since: .*RFC 3339|since: .*date-time/);
    const absent = await client.ask("readLogs", { params: { ...params, function: "nobody" } });
    assert.equal(absent.status, 404);
  });

  test("a follower gets what is there at once; when it leaves, the iteration ends", async () => {
    const leaving = new AbortController();
    const response = await client.raw("readLogs", { params, query: { follow: true }, signal: leaving.signal });
    const { value } = await response.body!.getReader().read();
    assert.equal(Buffer.from(value!).toString(), `${JSON.stringify(LINE)}\n`);
    leaving.abort();
    await logs.left.promise;
  });

  test("a follower of a function that has said nothing yet knows that it follows", async () => {
    const silent: LogReader = {
      remove: async () => {},
      async *read(_ref, _query, signal) {
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    };
    const other = await startControl(await makeMedium("memory"), { deps: { logs: silent } });
    const source = await other.client.upload("code");
    await other.client.deploy({ app: "shop", functions: { hello: { config: CONFIG, source } } });
    const response = await other.client.raw("readLogs", { params, query: { follow: true } });
    assert.equal(response.status, 200);
    await other.control.close();
    await response.text().catch(() => {});
  });

  test("records: pages and outcomes pass through, one by its id, none is a problem", async () => {
    const first = await client.ask("listInvocations", { params, query: { outcome: "ok" } });
    assert.equal(first.body.next, "more");
    const second = await client.ask("listInvocations", { params, query: { cursor: "more", limit: 5 } });
    assert.equal(second.body.next, undefined);
    assert.deepEqual(
      pages.map(({ cursor, limit, outcome }) => [cursor, limit, outcome]),
      [
        [undefined, 100, "ok"],
        ["more", 5, undefined],
      ],
    );
    assert.equal((await client.ask("getInvocation", { params: { ...params, id: "01" } })).body.runMs, 1.25);
    assert.equal((await client.ask("getInvocation", { params: { ...params, id: "02" } })).status, 404);
  });

  test("a deleted function's history goes with it, however it was deleted", async () => {
    const source = await client.upload("code");
    const request = (app: string, ...names: string[]) => ({
      app,
      functions: Object.fromEntries(names.map((name) => [name, { config: CONFIG, source }])),
    });
    await client.deploy(request("one", "a", "b", "c"));
    await client.deploy(request("two", "d", "e"));
    await client.deploy({ ...request("one", "a", "b"), prune: true });
    await client.ask("deleteFunction", { params: { app: "one", function: "b" } });
    await client.ask("deleteApp", { params: { app: "two" } });
    assert.deepEqual(logs.removed, ["default/one/c", "default/one/b", "default/two/d", "default/two/e"]);
    const told = running.logged.filter((line) => line.message === "history of a deleted function stays");
    assert.deepEqual(
      told.map((line) => line.function),
      logs.removed,
    );
  });

  test("closing control ends those who follow", async () => {
    const other = await startControl(medium, { deps: { logs: new EndlessLogs() } });
    const source = await other.client.upload("code");
    await other.client.deploy({ app: "shop", functions: { hello: { config: CONFIG, source } } });
    const response = await other.client.raw("readLogs", { params, query: { follow: true } });
    const reader = response.body!.getReader();
    await reader.read();
    await other.control.close();
    const end = await reader.read().catch(() => ({ done: true }));
    assert.equal(end.done, true);
  });
});
