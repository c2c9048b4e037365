import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { headerValues } from "#guest/testing/driven-invocation.ts";
import { until, within } from "#guest/testing/limit.ts";
import { missingPython, readyPython, startPython } from "./python.fixture.ts";

const HEADERS = [
  ...["Host", "shop.example.com:8443", "Cookie", "a=1", "Cookie", "b=2", "X-Twice", "1", "X-Twice", "2"],
  ...["X-Under_Score", "spoofed", "Proxy", "http://evil", "Content-Type", "text/plain", "Content-Length", "4"],
  ...["X-Forwarded-For", "made up, 10.0.0.1", "X-Forwarded-For", "192.0.2.7", "X-Forwarded-Proto", "https"],
];
const REQUEST = { method: "POST", path: "/caf%C3%A9/a%2Fb", query: "q=%20&r", headers: HEADERS };
const get = (path: string, method = "GET") => ({ request: { method, path, query: "", headers: [] as string[] } });

/** An ASGI application whose lifespan is what `body` says. */
const lifespan = (body: string) => `
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
${body.replace(/^/gm, "        ")}
        return
    state = scope.get("state")
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": repr(state).encode()})
    if state is not None:
        state["mine"] = True
`;
const STARTS = `
assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
assert (await receive()) == {"type": "lifespan.startup"}
scope["state"]["pool"] = "open"
await send({"type": "lifespan.startup.complete"})
assert (await receive()) == {"type": "lifespan.shutdown"}
await asyncio.sleep(0.02)
print("stopped")
await send({"type": "lifespan.shutdown.complete"})`;

/** Starts the source without initialising it, and initialises it once. */
async function initialised(t: TestContext, source: string, timeoutMs = 5_000) {
  const guest = await startPython(t);
  const control = await guest.control();
  const loaded = await control.load("main.py", guest.writeFiles({ "main.py": source }), { execution: "threads" });
  assert.equal(loaded.kind, "loaded", JSON.stringify(loaded));
  return { guest, control, outcome: await control.init(timeoutMs) };
}

describe("Python guest, ASGI", { skip: missingPython(), concurrency: 2 }, () => {
  test("the scope has everything of the request, as bytes where the specification says so", async (t) => {
    const source = `
import json

async def api(scope, receive, send):
    assert scope.pop("colibri.context").invocation
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(scope, default=lambda value: ["bytes", value.decode()]).encode()})
`;
    const { data } = await readyPython(t, source, {}, "main.py#api");
    const seen = JSON.parse((await data.invoke({ request: REQUEST, body: "text" })).body.toString());
    const { headers, ...scope } = seen;
    const root = "/fn/shop/thumbnail";
    const bytes = (text: string) => ["bytes", text];
    assert.deepEqual(scope, {
      type: "http",
      asgi: { version: "3.0", spec_version: "2.4" },
      http_version: "1.1",
      method: "POST",
      scheme: "https",
      path: `${root}/café/a/b`,
      raw_path: bytes(`${root}/caf%C3%A9/a%2Fb`),
      query_string: bytes("q=%20&r"),
      root_path: root,
      client: ["192.0.2.7", 0],
      server: ["shop.example.com", 8443],
      extensions: {},
    });
    assert.deepEqual(headers.slice(0, 2), [
      [bytes("host"), bytes("shop.example.com:8443")],
      [bytes("cookie"), bytes("a=1")],
    ]);
    const made = JSON.parse((await data.json({})).body.toString());
    assert.deepEqual([made.method, made.path, made.client, made.server], ["POST", "/", null, ["localhost", 80]]);
    const asked = async (of: object, params?: Record<string, string>) => {
      const request = { ...get("/a").request, ...(params && { params }) };
      const { root_path, path } = JSON.parse((await data.invoke({ ...of, request })).body.toString());
      return [root_path, path];
    };
    assert.deepEqual(await asked({}, {}), ["", "/a"], "by a trigger");
    assert.deepEqual(await asked({}), [root, `${root}/a`]);
    assert.deepEqual(made.root_path, "", "by no request");
  });

  test("lifespan: starts with init, each request has a copy of its state, stops when it drains", async (t) => {
    const { guest, control, data } = await readyPython(t, lifespan(STARTS));
    for (let turn = 0; turn < 2; turn++)
      assert.equal(
        (await data.invoke(get("/"))).body.toString(),
        "{'pool': 'open'}",
        "what a request puts there is its own",
      );
    control.drain();
    await control.log((entry) => entry.text === "stopped", "of the shutdown");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
  });

  test("lifespan: a startup that fails is init-failed with its message, and may be tried again", async (t) => {
    const source = lifespan(`
global tries
tries = globals().get("tries", 0) + 1
await receive()
if tries == 1:
    await send({"type": "lifespan.startup.failed", "message": "no database at db:5432"})
else:
    await send({"type": "lifespan.startup.complete"})`);
    const { guest, control, outcome } = await initialised(t, source);
    assert.ok(outcome.kind === "failed");
    const { code, error } = outcome.failed;
    assert.deepEqual([code, error.message], ["init-failed", "no database at db:5432"]);
    assert.equal((await control.init()).kind, "ready");
    assert.equal((await (await guest.data()).invoke(get("/"))).body.toString(), "{}");
  });

  test("lifespan: an application without it is fine, one that raises when told to start is said so and runs on", async (t) => {
    for (const [body, says] of [
      ["raise ValueError('only http')", undefined],
      ["assert False", undefined],
      ["pass", undefined],
      ["await receive()\nraise ValueError('no database')", /no database[\s\S]*lifespan\.startup\.failed/],
    ] as const) {
      const { control, data } = await readyPython(t, lifespan(body));
      assert.equal((await data.invoke(get("/"))).body.toString(), "None", body);
      await control.ping();
      if (says === undefined) assert.deepEqual(control.logs, [], body);
      else await control.log((entry) => says.test(entry.text), body);
    }
  });

  test("lifespan: a startup without end fails at the timeout, sys.exit fails it, a shutdown without end is cut off", async (t) => {
    const hangs = await initialised(t, lifespan("await receive()\nawait asyncio.sleep(600)"), 50);
    assert.ok(hangs.outcome.kind === "failed");
    assert.match(hangs.outcome.failed.error.message, /50 ms/);
    const exits = await initialised(t, lifespan("raise SystemExit(3)"));
    assert.ok(exits.outcome.kind === "failed");
    assert.match(exits.outcome.failed.error.message, /sys\.exit\(3\)/);
    const endless = lifespan(
      "await receive()\nawait send({'type': 'lifespan.startup.complete'})\nawait asyncio.sleep(600)",
    );
    const { guest, control } = await initialised(t, endless);
    control.drain(100);
    await control.log((entry) => /did not stop within 1\.0 s/.test(entry.text), "of the shutdown that was cut off");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 0, signal: null });
  });

  test("a caller that leaves is told by receive and by send; who does not listen is cancelled", async (t) => {
    const { control, data } = await readyPython(
      t,
      `
import asyncio

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"x", "more_body": True})
    try:
        path = scope["path"].removeprefix(scope["root_path"])
        if path == "/receive":
            while (await receive())["type"] != "http.disconnect":
                pass
            print("told by receive")
            try:
                await send({"type": "http.response.body", "body": b"late", "more_body": True})
            except OSError:
                print("told by send")
        elif path == "/send":
            while True:
                await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
        else:
            await asyncio.sleep(600)
    except BaseException as error:
        print("ended by", "OSError" if isinstance(error, OSError) else type(error).__name__)
        raise
`,
    );
    const expected = {
      "/receive": ["told by receive", "told by send"],
      "/send": ["ended by OSError"],
      "/deaf": ["ended by CancelledError"],
    };
    for (const [path, texts] of Object.entries(expected)) {
      const running = data.start({ ...get(path), credit: false });
      await until(() => running.received > 0, "the start of the answer");
      running.cancel();
      assert.equal((await running.end()).kind, "cancelled", path);
      for (const text of texts)
        assert.equal((await control.log((entry) => entry.text === text, path)).invocation, running.id);
    }
    assert.ok(!control.logs.some((entry) => entry.level === "error"), "and nothing is logged as an error");
    assert.equal(await control.ping(), 0);
  });

  test("HEAD has no body, whatever the application sends", async (t) => {
    const { data } = await readyPython(
      t,
      `
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"200000")]})
    await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
    await send({"type": "http.response.body", "body": b"x" * 100_000})
`,
    );
    const outcome = await data.invoke(get("/", "HEAD"));
    assert.deepEqual([outcome.kind, outcome.body.length], ["ok", 0]);
    assert.deepEqual(headerValues(outcome.headers, "content-length"), ["200000"]);
  });
});

const wsgi = (body: string) => `
import threading

def app(environ, start_response):
${body.replace(/^/gm, "    ")}
`;

describe("Python guest, WSGI", { skip: missingPython(), concurrency: 2 }, () => {
  test("passes Python's own validator, with each kind of body and answer", async (t) => {
    const { control, data } = await readyPython(
      t,
      `
import warnings
from wsgiref.validate import validator
warnings.simplefilter("error")

def inner(environ, start_response):
    input = environ["wsgi.input"]
    path = environ["PATH_INFO"]
    body = {"/read": input.read, "/line": input.readline}.get(path, lambda: b"")(-1 if path == "/read" else 8) if path in ("/read", "/line") else b""
    if path == "/lines":
        body = b"|".join(input.readlines())
    if path == "/each":
        body = b"|".join(input)
    environ["wsgi.errors"].write("said " + path + "\\n")
    environ["wsgi.errors"].flush()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

app = validator(inner)
`,
    );
    const request = { method: "POST", path: "/", query: "", headers: ["Host", "a", "Content-Length", "7"] };
    const cases = { "/read": "one\ntwo", "/line": "one\n", "/lines": "one\n|two", "/each": "one\n|two", "/none": "" };
    for (const [path, expected] of Object.entries(cases)) {
      const running = data.start({ request: { ...request, path }, body: "one\ntwo" });
      const outcome = await running.end();
      assert.deepEqual([outcome.kind, outcome.body.toString()], ["ok", expected], `${path}: ${outcome.error?.message}`);
      const said = await control.log((entry) => entry.text === `said ${path}`, path);
      assert.deepEqual([said.stream, said.invocation], ["stderr", running.id]);
    }
  });

  test("the environ has everything of the request, and nothing that a caller could pass off as another header", async (t) => {
    const source = wsgi(`
import json
assert environ["colibri.context"].invocation and environ["wsgi.version"] == (1, 0) and not environ["wsgi.run_once"]
assert environ["wsgi.multithread"] and environ["wsgi.input_terminated"] and threading.current_thread() is not threading.main_thread()
start_response("200 OK", [])
return [json.dumps({key: value for key, value in environ.items() if isinstance(value, str)}).encode()]`);
    const { data } = await readyPython(t, source);
    const seen = JSON.parse((await data.invoke({ request: REQUEST, body: "text" })).body.toString());
    assert.deepEqual(seen, {
      REQUEST_METHOD: "POST",
      SCRIPT_NAME: "/fn/shop/thumbnail",
      PATH_INFO: Buffer.from("/café/a/b").toString("latin1"),
      QUERY_STRING: "q=%20&r",
      REQUEST_URI: "/fn/shop/thumbnail/caf%C3%A9/a%2Fb?q=%20&r",
      SERVER_NAME: "shop.example.com",
      SERVER_PORT: "8443",
      SERVER_PROTOCOL: "HTTP/1.1",
      REMOTE_ADDR: "192.0.2.7",
      CONTENT_TYPE: "text/plain",
      CONTENT_LENGTH: "4",
      HTTP_HOST: "shop.example.com:8443",
      HTTP_COOKIE: "a=1; b=2",
      HTTP_X_TWICE: "1,2",
      HTTP_X_FORWARDED_FOR: "made up, 10.0.0.1,192.0.2.7",
      HTTP_X_FORWARDED_PROTO: "https",
      "wsgi.url_scheme": "https",
    });
  });

  test("write, exc_info and close do as PEP 3333 says", async (t) => {
    const { control, data } = await readyPython(
      t,
      `
import sys

class Body:
    def __init__(self, path):
        self.path = path
    def __iter__(self):
        yield b"" if self.path == "/late" else b"one "
        if self.path == "/breaks":
            raise TypeError("it broke")
        yield b"two"
    def close(self):
        print("closed", self.path)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    write = start_response("200 OK", [("x-first", "yes")])
    if path == "/write":
        write(b"written ")
    if path == "/again":
        start_response("201 Created", [])
    try:
        if path == "/sent":
            write(b"sent")
        if path in ("/replaced", "/sent"):
            raise ValueError("no")
    except ValueError:
        start_response("500 Oh no", [("x-second", "yes")], sys.exc_info())
        return [b"sorry"]
    return Body(path)
`,
    );
    const written = await data.invoke(get("/write"));
    assert.equal(written.body.toString(), "written one two");
    await control.log((entry) => entry.text === "closed /write", "of the body that was read");
    const replaced = await data.invoke(get("/replaced"));
    assert.deepEqual(
      [replaced.status, replaced.headers, replaced.body.toString()],
      [500, ["x-second", "yes"], "sorry"],
    );
    const sent = await data.invoke(get("/sent"));
    assert.deepEqual(
      [sent.kind, sent.status, sent.error?.message],
      ["error", 200, "no"],
      "raised again once it is sent",
    );
    const again = await data.invoke(get("/again"));
    assert.deepEqual([again.kind, again.code], ["error", "function-error"]);
    assert.match(again.error!.message, /twice without exc_info/);
    const breaks = await data.invoke(get("/breaks"));
    assert.deepEqual([breaks.kind, breaks.error?.message, breaks.body.toString()], ["error", "it broke", "one "]);
    await control.log((entry) => entry.text === "closed /breaks", "of the body that broke");
    const head = await data.invoke(get("/", "HEAD"));
    assert.deepEqual([head.kind, head.status, head.body.length], ["ok", 200, 0]);
    await control.log((entry) => entry.text === "closed /", "of the body that nobody wanted");
  });

  test("what is not an answer is said", async (t) => {
    const cases = {
      "return [b'x']": /did not call start_response|before it called start_response/,
      "start_response('OK', [])\nreturn []": /status 'OK'; use such as '200 OK'/,
      "start_response('200 OK', [('a b', 'c')])\nreturn []": /a header named 'a b'/,
      "start_response('200 OK', [])\nreturn ['text']": /yielded a str; yield bytes/,
      "start_response('200 OK', [('Content-Length', '9')])\nreturn iter([b'short'])":
        /has 5 bytes; its Content-Length is 9/,
    };
    for (const [body, message] of Object.entries(cases)) {
      const { data } = await readyPython(t, wsgi(body));
      const outcome = await data.invoke(get("/"));
      assert.deepEqual([outcome.kind, outcome.code], ["error", "answer-invalid"], body);
      assert.match(outcome.error!.message, message);
    }
  });

  test("a caller that leaves ends reads and writes, and the body is closed", async (t) => {
    const { control, data } = await readyPython(
      t,
      `
def endless(name):
    try:
        while True:
            yield b"x" * 65536
    finally:
        print("ended", name)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/read":
        try:
            environ["wsgi.input"].read()
        finally:
            print("ended read")
    start_response("200 OK", [])
    return endless("write")
`,
      { concurrency: 2 },
    );
    const reading = data.start({ ...get("/read", "POST"), body: "half", open: true });
    const writing = data.start({ ...get("/write"), credit: false });
    await within(reading.accepted, "ACCEPTED");
    await until(() => writing.received === 256 * 1024, "a full window");
    reading.cancel();
    writing.cancel("deadline");
    assert.equal((await reading.end()).kind, "cancelled");
    assert.equal((await writing.end()).kind, "cancelled");
    await control.log((entry) => entry.text === "ended read", "of the read");
    await control.log((entry) => entry.text === "ended write", "of the write");
    assert.equal(await control.ping(), 0);
  });

  test("an execution that does not fit what was written is refused, with what would", async (t) => {
    for (const source of [wsgi("pass"), "def handler(input, context): pass"]) {
      const guest = await startPython(t);
      const control = await guest.control();
      const loaded = await control.load("main.py", guest.writeFiles({ "main.py": source }), { execution: "loop" });
      assert.ok(loaded.kind === "failed", "it must not load");
      assert.match(
        loaded.failed.error.message,
        /'(app|handler)' in main\.py is plain .*write async def, or set execution: threads/,
      );
    }
  });
});
