import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Context as GuestContext, InitContext as GuestInitContext } from "#guest/node/context.ts";
import type { RequestFacts } from "#guest/node/request.ts";
import type { DrivenControl } from "#guest/testing/driven-control.ts";
import type { DrivenData } from "#guest/testing/driven-data.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";
import type { Context, FetchHandler, Handler, InitContext, RequestInfo } from "./index.ts";
import { factsOf } from "./testing/facts.ts";
import { toSent } from "./testing/input.ts";
import type { InvokeOptions, TestAnswer } from "./testing/types.ts";
import { createTestContext, invoke } from "./testing.ts";

type Same<A, B> = [A, B] extends [B, A] ? true : never;
/** Types of the package and of the guest are each the other: this does not compile when one of them changes. */
const AGREE: readonly [
  Same<Context, Omit<GuestContext, "request"> & { readonly request: RequestInfo | undefined }>,
  Same<InitContext, GuestInitContext>,
  RequestFacts extends RequestInfo ? true : never,
  Same<keyof Context, keyof GuestContext>,
  Same<keyof RequestInfo, Exclude<keyof RequestFacts, "toJSON">>,
] = [true, true, true, true, true];

const PLAIN = `
import { setTimeout as pause } from "node:timers/promises";
const forms = {
  nothing: () => undefined,
  null: () => null,
  text: () => "grüße",
  number: () => 1.5,
  json: () => ({ a: [1, { b: null }], toJSON: undefined }),
  bytes: () => new Uint8Array([0, 1, 255]),
  buffer: () => new Uint8Array([1, 2]).buffer,
  bigint: () => 1n,
  symbol: () => Symbol("s"),
  function: () => () => {},
  circular: () => { const a = {}; a.a = a; return a; },
  nested: () => ({ a: 1n }),
  response: () => new Response("made", { status: 201, headers: [["x-a", "1"], ["set-cookie", "a=1"], ["set-cookie", "b=2"]] }),
  "response-empty": () => new Response(null, { status: 304 }),
  "response-bad": () => Response.error(),
  "response-used": async () => { const used = new Response("x"); await used.text(); return used; },
  texts: async function* () { yield "a"; await pause(1); yield "bü"; },
  pieces: async function* () { const same = new Uint8Array(1); for (same[0] = 1; same[0] < 4; same[0]++) yield same; },
  empty: async function* () {},
  late: async function* () { yield "a"; throw new RangeError("late"); },
  first: async function* () { throw new RangeError("first"); },
  odd: async function* () { yield "a"; yield 7; },
  stream: () => new Blob(["blob"]).stream(),
  large: () => "x".repeat(1_000_000),
  throws: () => { throw new TypeError("it broke"); },
  rejects: async () => { throw Object.assign(new Error("it broke"), { name: "Special" }); },
  "throws-text": () => { throw "text"; },
  "throws-undefined": () => { throw undefined; },
  logs: (input, context) => {
    console.log("out", { a: 1 }); console.debug("debug"); console.warn("warn"); console.error("err");
    context.log.info("info %s", 1); context.log.error(new Error("logged").message);
    process.stdout.write("par"); process.stdout.write("tial\\n");
    return "logged";
  },
  input: (input) => ({ type: Buffer.isBuffer(input) ? "bytes" : typeof input, input: Buffer.isBuffer(input) ? input.toString("hex") : input }),
  context: (input, { app, tenant, function: name, trace, request, signal, deadline, remaining, ...rest }) => [
    request, name, trace, signal.aborted, deadline instanceof Date, Object.keys(rest)],
  json2: (input, context) => { const { deadline, invocation, ...rest } = context.toJSON(); return rest; },
};
export default (input, context) => forms[context.request.path.slice(1)](input, context);
`;

const FETCH = `
export default {
  async fetch(request, context) {
    const url = new URL(request.url);
    if (url.pathname === "/wrong") return "no Response";
    if (url.pathname === "/echo") return new Response(request.body, { headers: request.headers });
    if (url.pathname === "/count") {
      let bytes = 0;
      for await (const piece of request.body) bytes += piece.length;
      return Response.json({ bytes, method: request.method, host: url.host, query: url.search });
    }
    return Response.json([context.function, await request.text()]);
  },
};
`;

type Case = readonly [what: string, input: unknown, options?: InvokeOptions];

const FORMS = [...PLAIN.matchAll(/^ {2}"?([\w-]+)"?: /gm)].map(([, form]) => form!).filter((form) => form !== "input");
const PLAIN_CASES: readonly Case[] = [
  ...FORMS.map((form): Case => [form, undefined, { request: { path: `/${form}` }, trace: "00-a-b-01" }]),
  ...[undefined, "text", "", new Uint8Array([1, 2]), { a: 1 }, [], 0, false, null].map(
    (input): Case => [`input ${JSON.stringify(input)}`, input, { request: { path: "/input" } }],
  ),
  ["broken JSON", "{", { contentType: "application/json", request: { path: "/input" } }],
  ["not UTF-8", new Uint8Array([0xff]), { contentType: "text/plain", request: { path: "/input" } }],
  ["latin", new Uint8Array([0xe4]), { contentType: "text/plain; charset=latin1", request: { path: "/input" } }],
  ["+json", "[1]", { contentType: "application/ld+json", request: { path: "/input" } }],
  ["large input", "ü".repeat(400_000), { request: { path: "/input" } }],
  [
    "request",
    "x",
    {
      request: { method: "PUT", path: "/context", query: "a=1&a=2&b", headers: { Cookie: "a=1" }, params: { id: "7" } },
    },
  ],
];
const FETCH_CASES: readonly Case[] = [
  ["wrong", undefined, { request: { path: "/wrong" } }],
  ["echo", new Uint8Array(300_000).fill(7), { request: { path: "/echo" } }],
  ["count", "x".repeat(700_000), { request: { path: "/count", query: "a=1", headers: { host: "a.example" } } }],
  ["get", undefined, { request: { path: "/", method: "GET" } }],
  ["text", "text", { request: { path: "/" } }],
];

/** One function in a real guest and in this process. */
function bothWays(source: string, cases: readonly Case[]) {
  let folder: string;
  let guest: GuestDriver;
  let stream: { control: DrivenControl; data: DrivenData };
  let module: { default: Handler | FetchHandler };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "colibri-sdk-test-"));
    writeFileSync(join(folder, "index.mjs"), source);
    module = await import(pathToFileURL(join(folder, "index.mjs")).href);
    const main = fileURLToPath(new URL("../../guest/node/main.ts", import.meta.url));
    guest = await GuestDriver.start({ file: process.execPath, args: [main] });
    stream = await guest.ready({ handler: "index.mjs", files: { "index.mjs": source } });
  });
  after(async () => {
    await guest.stop();
    rmSync(folder, { recursive: true });
  });
  for (const [what, input, options] of cases)
    test(what, async () => {
      const facts = { app: "shop", function: "thumbnail", ...options };
      const answer = await invoke(module, input, facts);
      assert.deepEqual(shown(answer), await deployed(stream, input, facts));
    });
}

function shown({ status, headers, body, error, logs }: TestAnswer) {
  const failedBefore = headers.has("colibri-error-code");
  return {
    status: failedBefore ? undefined : status,
    headers: failedBefore ? [] : [...headers],
    body: failedBefore ? "" : Buffer.from(body).toString("base64"),
    error: error && [error.code, error.name, error.message],
    logs: logs.map(({ stream, level, text }) => [stream, level, text.split("\n")[0]]),
  };
}

async function deployed(
  { control, data }: { control: DrivenControl; data: DrivenData },
  input: unknown,
  options: InvokeOptions,
) {
  const sent = toSent(input, options);
  const { id: _, ...facts } = factsOf({ ...options, request: sent.request }, sent.contentType);
  assert.ok(sent.body instanceof Uint8Array);
  const invocation = data.start({ ...facts, body: sent.body });
  const outcome = await invocation.end();
  await control.ping();
  const headers = new Headers();
  for (let index = 0; index < outcome.headers.length; index += 2)
    headers.append(outcome.headers[index]!, outcome.headers[index + 1]!);
  return {
    status: outcome.status,
    headers: [...headers],
    body: outcome.body.toString("base64"),
    error: outcome.error && [outcome.code, outcome.error.name, outcome.error.message],
    logs: control.logs
      .filter((entry) => entry.invocation === invocation.id)
      .map(({ stream, level, text }) => [stream, level, text.split("\n")[0]]),
  };
}

test("types of the package and of the guest agree", () => assert.deepEqual(new Set(AGREE), new Set([true])));
describe("invoke gives what a deployed function gives", () => bothWays(PLAIN, PLAIN_CASES));
describe("and one in the style of fetch", () => bothWays(FETCH, FETCH_CASES));

describe("invoke", () => {
  test("takes a Request, its body streamed", async () => {
    const app: FetchHandler = {
      fetch: async (request) => new Response(`${request.method} ${request.url} ${await request.text()}`),
    };
    const body = new Blob(["a".repeat(100_000), "b".repeat(200_000)]).stream();
    const request = new Request("https://shop.example/a/b?c=d", { method: "PUT", body, duplex: "half" } as RequestInit);
    const answer = await invoke(app, request);
    assert.equal(answer.text(), `PUT http://shop.example/a/b?c=d ${"a".repeat(100_000)}${"b".repeat(200_000)}`);
  });

  test("gives a stream's pieces as they come, and leaves when told to", async () => {
    const leave = new AbortController();
    let stopped = false;
    const endless: Handler = async function* (_input: unknown, { signal }: Context) {
      try {
        for (let number = 1; ; number++) yield `tick ${number}\n`;
      } finally {
        stopped = signal.aborted;
      }
    };
    const pieces: string[] = [];
    const answer = await invoke(endless, undefined, {
      signal: leave.signal,
      onPiece(piece) {
        pieces.push(Buffer.from(piece).toString());
        if (pieces.length === 3) leave.abort();
      },
    });
    assert.deepEqual(pieces.slice(0, 3), ["tick 1\n", "tick 2\n", "tick 3\n"]);
    assert.deepEqual([answer.status, answer.error?.code, stopped], [200, "client-closed", true]);
  });

  test("ends what passes its deadline, whether it listens or not", async () => {
    const listens: Handler = (_input, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const deaf: Handler = () => new Promise(() => {});
    const halfDeaf: Handler = async function* () {
      yield "a";
      await new Promise(() => {});
    };
    for (const handler of [listens, deaf, halfDeaf]) {
      const answer = await invoke(handler, undefined, { timeoutMs: 20 });
      assert.equal(answer.error?.code, "function-timeout");
      assert.equal(answer.status, handler === halfDeaf ? 200 : 504);
      if (handler !== halfDeaf) assert.equal(answer.headers.get("colibri-error-code"), "function-timeout");
    }
  });

  test("runs init before the first invocation, once unless it fails", async () => {
    let runs = 0;
    const module = {
      init: ({ function: name, log }: InitContext) => {
        log.info("init of", name);
        if (++runs === 1) throw new Error("not yet");
      },
      default: () => runs,
    };
    const failed = await invoke(module, undefined, { function: "f" });
    assert.deepEqual([failed.status, failed.error?.code, failed.error?.message], [500, "init-failed", "not yet"]);
    assert.equal(failed.logs[0]?.text, "init of f");
    assert.equal(failed.json<{ code: string }>().code, "init-failed");
    assert.deepEqual([(await invoke(module)).json(), (await invoke(module)).json()], [2, 2]);
    const slow = { init: () => new Promise(() => {}), default: () => 1 };
    assert.match((await invoke(slow, 1, { initTimeoutMs: 10 })).error!.message, /init did not end within 10 ms/);
  });

  test("says what is wrong with what is no function", async () => {
    await assert.rejects(invoke({ other: 1 } as object, 1), /the module has no default export; it exports other/);
    await assert.rejects(
      invoke(() => 1, Symbol("s")),
      /a symbol can't be sent/,
    );
  });

  test("keeps the logs of invocations apart, and leaves others' output and the console as they were", async (t) => {
    const { log } = console;
    const write = t.mock.method(process.stdout, "write", () => true);
    const handler: Handler<number> = async (number) => {
      console.log("begin", number);
      await new Promise((resolve) => setTimeout(resolve, 5));
      console.log("end", number);
    };
    const running = [1, 2].map((number) => invoke(handler, number));
    console.log("outside");
    const answers = await Promise.all(running);
    assert.deepEqual(
      answers.map(({ logs }) => logs.map(({ text }) => text)),
      [
        ["begin 1", "end 1"],
        ["begin 2", "end 2"],
      ],
    );
    assert.deepEqual(
      write.mock.calls.map((call) => call.arguments[0]).filter((text) => /begin|end|outside/.test(String(text))),
      ["outside\n"],
    );
    assert.equal(console.log, log);
  });

  test("without a request there is none, as for a timer", async () => {
    const handler: Handler = (input, { request }) => [input, request === undefined];
    assert.deepEqual((await invoke(handler, { a: 1 }, { request: false })).json(), [{ a: 1 }, true]);
  });
});

test("a test context has what was asked for, values for the rest, and keeps what is logged", async () => {
  const leave = new AbortController();
  const context = createTestContext({
    app: "shop",
    timeoutMs: 5_000,
    signal: leave.signal,
    request: { params: { id: "7" } },
  });
  assert.deepEqual([context.app, context.tenant, context.revision], ["shop", "default", "r1"]);
  assert.match(context.invocation, /^[0-9A-Z]{26}$/);
  assert.deepEqual({ ...context.request?.params }, { id: "7" });
  assert.ok(context.remaining() > 4_000 && context.remaining() <= 5_000);
  assert.ok(context.deadline.getTime() > Date.now());
  context.log.warn("careful %d", 7);
  assert.deepEqual(context.logs, [{ stream: "stderr", level: "warn", text: "careful 7" }]);
  leave.abort();
  assert.equal(context.signal.aborted, true);
  assert.equal(createTestContext({ request: false }).request, undefined);
});
