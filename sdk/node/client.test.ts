import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, type TestContext, test } from "node:test";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type * as contract from "#contract/api/resources.ts";
import type { Operation } from "#contract/api/routes.ts";
import type { ErrorCode as CatalogueCode } from "#contract/errors.ts";
import {
  chunks,
  digestOf,
  type Medium,
  makeMedium,
  startControl,
  type TestControl,
  TOKEN,
} from "#platform/control/control.fixture.ts";
import {
  type AnswerHead,
  type Api,
  ApiError,
  ConnectionError,
  createClient,
  type Deployment,
  type ErrorCode,
  type LogLine,
} from "./client.ts";

/** What control is typed with is what the client is typed with: this does not compile when it is not. */
const AGREE: readonly [
  contract.Deployment extends Deployment ? true : never,
  Deployment["functions"][number]["change"] extends contract.Deployment["functions"][number]["change"] ? true : never,
  contract.LogLine extends LogLine ? true : never,
  Operation extends keyof Api ? true : never,
  [CatalogueCode, ErrorCode] extends [ErrorCode, CatalogueCode] ? true : never,
] = [true, true, true, true, true];

const LINE: LogLine = {
  at: "2026-01-01T00:00:00.000Z",
  function: "hello",
  revision: "r1",
  sandbox: "s",
  stream: "stdout",
  level: "info",
  text: "hello",
};

describe("the client, with a real control", () => {
  let medium: Medium;
  let stage: TestControl;
  let client: Api;
  const left = Promise.withResolvers<void>();
  const logs = {
    async *read(_ref: unknown, { follow }: { follow?: boolean | undefined }, signal: AbortSignal) {
      yield LINE;
      if (!follow) return;
      yield { ...LINE, text: "ü" };
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      left.resolve();
    },
    remove: async () => {},
  };
  before(async () => {
    medium = await makeMedium("memory");
    stage = await startControl(medium, { deps: { logs } });
    client = createClient({ url: `http://127.0.0.1:${stage.port}/`, token: TOKEN });
  });
  after(async () => {
    await stage.control.close();
    await medium.remove();
  });

  async function deploy(app: string, ...names: string[]): Promise<Deployment> {
    const bytes = Buffer.from(`source of ${app}`);
    const source = digestOf(bytes);
    if (!(await client.checkUpload({ digest: source })))
      await client.putUpload({ digest: source, body: chunks(bytes, 4) });
    assert.equal(await client.checkUpload({ digest: source }), true);
    const functions = Object.fromEntries(names.map((name) => [name, { config: CONFIG, source }]));
    return client.createDeployment({ body: { app, functions } });
  }

  test("deploys: upload as a stream, events as they come", async () => {
    const { id, state } = await deploy("shop", "a", "b");
    assert.equal(state, "queued");
    const kinds: string[] = [];
    for await (const { number, kind } of client.followDeployment({ id })) kinds[number - 1] = kind;
    assert.equal(kinds.at(-1), "end");
    const rest = await Array.fromAsync(client.followDeployment({ id, after: kinds.length - 1 }));
    assert.deepEqual(
      rest.map(({ kind, text }) => [kind, text]),
      [["end", "done"]],
    );
    const { functions } = await client.getDeployment({ id });
    assert.deepEqual(
      functions.map((one) => [one.function, one.change, one.revision]),
      [
        ["a", "created", "r1"],
        ["b", "created", "r1"],
      ],
    );
  });

  test("lists everything, or a page", async () => {
    for (const app of ["p1", "p2", "p3"])
      await Array.fromAsync(client.followDeployment({ id: (await deploy(app, "f")).id }));
    const all = (await Array.fromAsync(client.listApps())).map(({ app }) => app);
    const cut = (await Array.fromAsync(client.listApps({ limit: 1 }))).map(({ app }) => app);
    assert.ok(all.includes("p1") && all.includes("p3"));
    assert.deepEqual(cut, all);
    const first = await client.listApps({ limit: 2 }).page();
    assert.equal(first.items.length, 2);
    const second = await client.listApps({ limit: 2, cursor: first.next }).page();
    assert.deepEqual(
      [...first.items, ...second.items].map(({ app }) => app),
      all.slice(0, 4),
    );
  });

  test("follows logs until it is left", async () => {
    await Array.fromAsync(client.followDeployment({ id: (await deploy("logs", "f")).id }));
    const name = { app: "logs", function: "f" };
    assert.deepEqual(await Array.fromAsync(client.readLogs(name)), [LINE]);
    const seen: string[] = [];
    for await (const { text } of client.readLogs({ ...name, follow: true })) if (seen.push(text) === 2) break;
    assert.deepEqual(seen, ["hello", "ü"]);
    await left.promise;
  });

  test("tells failures with the catalogue's code, and guards deletion by ETag", async () => {
    await Array.fromAsync(client.followDeployment({ id: (await deploy("gone", "f")).id }));
    const name = { app: "gone", function: "f" };
    let etag: unknown;
    await client.getFunction(name, { onAnswer: ({ headers }) => (etag = headers.etag) });
    const refused = await client.deleteFunction({ ...name, ifMatch: '"other"' }).catch((error) => error);
    assert.ok(refused instanceof ApiError);
    assert.deepEqual(
      [refused.status, refused.code, refused.problem?.title],
      [412, "precondition-failed", "The resource has changed since it was read."],
    );
    assert.equal(await client.deleteFunction({ ...name, ifMatch: String(etag) }), undefined);
    await assert.rejects(client.getFunction(name), { name: "ApiError", code: "not-found" });
    await assert.rejects(client.getApp({ app: "A b" }), (error: ApiError) => error.problem!.errors![0]!.path === "app");
    const wrong = createClient({ url: `http://127.0.0.1:${stage.port}`, token: "wrong" });
    await assert.rejects(wrong.getHealth(), { code: "unauthorized", status: 401 });
    await assert.rejects(
      client
        .listApps({ tenant: "other" })
        .page()
        .then(({ items }) => assert.deepEqual(items, []))
        .then(() => client.getApp({ tenant: "other", app: "shop" })),
      { code: "not-found" },
    );
  });

  test("has text, documents and what there is once", async () => {
    assert.equal((await client.getHealth()).status, "ok");
    assert.equal((await client.listRuntimes()).items[0]!.name, "nodejs");
    assert.match(await client.getMetrics(), /^up 1$/m);
    assert.equal((await client.getOpenapi()).openapi, "3.1.0");
  });
});

type Turn = (response: ServerResponse) => void;

/** A server that does one turn for each request, and keeps what it was sent. */
async function scripted(t: TestContext, ...turns: Turn[]) {
  const seen: { method: string; url: string; body: string; headers: IncomingMessage["headers"] }[] = [];
  const server = createServer(async (request, response) => {
    seen.push({ method: request.method!, url: request.url!, body: await text(request), headers: request.headers });
    (turns.shift() ?? answer(200, {}))(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.closeAllConnections());
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { seen, client: createClient({ url, token: "t" }), url };
}

function answer(status: number, body: object, headers: Record<string, string> = {}): Turn {
  return (response) => void response.writeHead(status, headers).end(JSON.stringify(body));
}
const problem = (code: ErrorCode, status: number, retryAfter = "0") =>
  answer(status, { code, detail: `it is ${code}`, status, title: "", type: "" }, { "retry-after": retryAfter });
const cut: Turn = (response) => void response.destroy();

describe("the client sends again", () => {
  const name = { app: "a", function: "f" };
  const body = { app: "a", functions: {} };

  test("what is safe to send again, where the catalogue says it may help", async (t) => {
    const { seen, client } = await scripted(t, problem("unavailable", 503), cut, answer(200, { app: "a" }));
    assert.equal((await client.getApp({ app: "a" })).app, "a");
    assert.equal(seen.length, 3);
  });

  test("a deployment under one key", async (t) => {
    const { seen, client } = await scripted(t, cut, problem("internal", 500), answer(202, { id: "d" }));
    await client.createDeployment({ body });
    const keys = new Set(seen.map(({ headers }) => headers["idempotency-key"]));
    assert.deepEqual([seen.length, keys.size, [...keys][0]!.length], [3, 1, 36]);
    assert.deepEqual(new Set(seen.map((one) => one.body)), new Set([JSON.stringify(body)]));
    const given = await scripted(t);
    await given.client.createDeployment({ body, idempotencyKey: "mine" });
    assert.equal(given.seen[0]!.headers["idempotency-key"], "mine");
  });

  test("no more often than it is told", async (t) => {
    const { seen, client } = await scripted(t, ...Array(9).fill(problem("unavailable", 503)));
    await assert.rejects(client.getApp({ app: "a" }), { code: "unavailable", message: "it is unavailable" });
    assert.equal(seen.length, 3);
    await assert.rejects(client.getApp({ app: "a" }, { attempts: 1 }));
    assert.equal(seen.length, 4);
  });

  test("not when it is told to come in an hour", async (t) => {
    const { seen, client } = await scripted(t, problem("unavailable", 503, "3600"));
    await assert.rejects(client.getApp({ app: "a" }), { code: "unavailable" });
    assert.equal(seen.length, 1);
  });

  test("not what can't be helped, nor what may be done already, nor a stream", async (t) => {
    const conflict = await scripted(t, problem("conflict", 409));
    await assert.rejects(conflict.client.getApp({ app: "a" }), { code: "conflict" });
    const deletion = await scripted(t, cut);
    await assert.rejects(deletion.client.deleteFunction(name), ConnectionError);
    const doubtful = await scripted(t, problem("internal", 500));
    await assert.rejects(doubtful.client.deleteFunction(name), { code: "internal" });
    const refused = await scripted(t, problem("unavailable", 503), answer(204, {}));
    await refused.client.deleteFunction(name);
    const upload = await scripted(t, problem("store-unavailable", 503));
    await assert.rejects(upload.client.putUpload({ digest: "d", body: chunks(Buffer.from("abc")) }), { status: 503 });
    const bytes = await scripted(t, problem("store-unavailable", 503), answer(201, {}));
    await bytes.client.putUpload({ digest: "d", body: Buffer.from("abc") });
    assert.deepEqual(
      [conflict, deletion, doubtful, refused, upload, bytes].map(({ seen }) => seen.length),
      [1, 1, 1, 2, 1, 2],
    );
    assert.deepEqual(
      bytes.seen.map((one) => one.body),
      ["abc", "abc"],
    );
  });
});

describe("an upload that was cut off", () => {
  test("tells where it stands, and goes on with a length where one is given", async (t) => {
    const { seen, client } = await scripted(
      t,
      (response) => void response.writeHead(404, { "upload-offset": "2" }).end(),
      (response) => void response.writeHead(204, { "upload-offset": "4" }).end(),
      (response) => void response.writeHead(201).end(),
    );
    const heads: unknown[] = [];
    const onAnswer = ({ status, headers }: AnswerHead) => heads.push([status, headers["upload-offset"]]);
    assert.equal(await client.checkUpload({ digest: "d" }, { onAnswer }), false);
    const rest = () => ({ digest: "d", uploadOffset: 2, uploadLength: 5, body: chunks(Buffer.from("cde")) });
    await client.appendUpload(rest(), { bodyBytes: 3, onAnswer });
    await client.appendUpload(rest(), { onAnswer });
    assert.deepEqual(heads, [
      [404, "2"],
      [204, "4"],
      [201, undefined],
    ]);
    assert.deepEqual(
      seen.slice(1).map(({ headers, body }) => [headers["content-length"], headers["transfer-encoding"], body]),
      [
        ["3", undefined, "cde"],
        [undefined, "chunked", "cde"],
      ],
    );
  });
});

test("no token is sent where an empty one is given", async (t) => {
  const { seen, url } = await scripted(t);
  await createClient({ url, token: "" }).getApp({ app: "a" });
  assert.equal(seen[0]!.headers.authorization, undefined);
});

describe("the client ends", () => {
  test("when its signal says so, in the midst of waiting or of lines", async (t) => {
    const leave = new AbortController();
    const silent: Turn = () => setImmediate(() => leave.abort(new Error("enough")));
    const { client } = await scripted(t, silent);
    await assert.rejects(client.getApp({ app: "a" }, { signal: leave.signal }), /^Error: enough$/);
    const later = new AbortController();
    const lines = await scripted(t, (response) => void response.writeHead(200).write('{"a":1}\n{"a"'));
    const seen: unknown[] = [];
    const reading = (async () => {
      for await (const line of lines.client.readLogs(
        { app: "a", function: "f", follow: true },
        { signal: later.signal },
      )) {
        seen.push(line);
        later.abort(new Error("enough"));
      }
    })();
    await assert.rejects(reading);
    assert.deepEqual(seen, [{ a: 1 }]);
  });

  test("when nothing comes for too long, but streams of lines may be silent", async (t) => {
    const { client } = await scripted(t, () => {});
    await assert.rejects(
      client.getApp({ app: "a" }, { idleMs: 20, attempts: 1 }),
      /can't be reached: no answer within 0.02 s/,
    );
  });

  test("and says who is not there, and who is not Colibri", async (t) => {
    const { url } = await scripted(t);
    const other = await scripted(
      t,
      (response) => void response.writeHead(404).end("<html>"),
      (response) => void response.end("<html>"),
    );
    await assert.rejects(other.client.getApp({ app: "a" }), /answered 404, and not as Colibri does/);
    await assert.rejects(other.client.getApp({ app: "a" }), { name: "ApiError", code: undefined, status: 200 });
    await assert.rejects(createClient({ url: "http://127.0.0.1:1", attempts: 2 }).getHealth(), {
      name: "ConnectionError",
    });
    await assert.rejects(createClient({ url }).getApp({ app: "" }), /needs app/);
  });
});

test("types of the client and of the contract agree", () => assert.deepEqual(new Set(AGREE), new Set([true])));
