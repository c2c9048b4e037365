import { test } from "node:test";
import type { DrivenFunction } from "#guest/testing/guest-driver.ts";
import { type GuestFunctions, guestSuite } from "#guest/testing/guest-suite.ts";
import { missingPython, pythonGuest } from "./python.fixture.ts";

const command = {
  ...pythonGuest,
  // Of its own environment, which user code must not see.
  environment: { PLATFORM_SECRET: "s", PYTHONPATH: "/nowhere" },
};

function fn(source: string): DrivenFunction {
  return { handler: "main.py", files: { "main.py": source } };
}

const answer = `
def texts():
    yield from ("a", "b", "ü")

def pieces():
    yield from (b"\\0", bytearray(b"\\1"), memoryview(b"\\xff"))

FORMS = {
    "nothing": lambda: None,
    "text": lambda: "grüße",
    "empty": lambda: "",
    "bytes": lambda: b"\\0\\1\\xff",
    "object": lambda: {"a": 1},
    "array": lambda: [1, 2],
    "number": lambda: 1.5,
    "true": lambda: True,
    "false": lambda: False,
    "texts": texts,
    "pieces": pieces,
    "none": lambda: iter(()),
    "large": lambda: "x" * 1_048_576,
}
`;

const error = `
def circular():
    value = {}
    value["self"] = [value]
    return value

def broken():
    raise TypeError("it broke")

def first():
    raise TypeError("it broke")
    yield "never"

def late():
    yield "a"
    raise TypeError("it broke")

FORMS = {"error": broken, "circular": circular, "unserialisable": lambda: {1, 2}, "first": first, "late": late}
`;

const plainForm = `
def handler(input, context):
    return FORMS[input["form"]]()
`;

const asyncForm = `
import asyncio

async def handler(input, context):
    await asyncio.sleep(0.001)
    return FORMS[input["form"]]()
`;

const LOG_LEVELS = `
    log = context.log
    log.debug("debug %s", marker)
    log.info("info %s", marker)
    log.warning("warn %s", marker)
    log.error("error %s", marker)
    return "logged"
`;

const plainLog = `
import sys, time

def handler(input, context):
    marker = input["marker"]
    print("out", marker)
    time.sleep(input["ms"] / 1000)
    print("err", marker, file=sys.stderr)
${LOG_LEVELS}`;

const asyncLog = `
import asyncio, sys

async def handler(input, context):
    marker = input["marker"]
    print("out", marker)
    await asyncio.sleep(input["ms"] / 1000)
    sys.stderr.write(f"err {marker}\\n")
${LOG_LEVELS}`;

const plainWait = `
def handler(input, context):
    print("begun", input["marker"])
    what = "aborted" if context.cancelled.wait(input["ms"] / 1000) else "waited"
    print(what, input["marker"])
    return f"{what} {input['marker']}"
`;

const asyncWait = `
import asyncio

async def handler(input, context):
    print("begun", input["marker"])
    what = "waited"
    try:
        await asyncio.sleep(input["ms"] / 1000)
    except asyncio.CancelledError:
        what = "aborted"
    print(what, input["marker"])
    return f"{what} {input['marker']}"
`;

const count = (init: string) => `
import os, pathlib
inits = 0
loads = 1

${init}

def handler(input, context):
    return {"inits": inits, "loads": loads, "pid": os.getpid()}
`;

const asgi = `
import json

async def answer(send, status, body, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})

async def read(receive):
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            return body

async def echo(receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while True:
        message = await receive()
        await send({"type": "http.response.body", "body": message["body"], "more_body": message["more_body"]})
        if not message["more_body"]:
            return

async def app(scope, receive, send):
    path = scope["path"].removeprefix(scope["root_path"])
    if path == "/made":
        await answer(send, 201, b"made", [(b"x-made", b"yes"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    elif path == "/echo":
        await echo(receive, send)
    elif path == "/unread":
        await answer(send, 200, b"unread")
    elif path == "/throw":
        raise TypeError("it broke")
    elif path == "/about":
        header = dict(scope["headers"]).get(b"x-header", b"").decode()
        about = {"method": scope["method"], "path": path, "query": scope["query_string"].decode(), "header": header}
        about["body"] = (await read(receive)).decode()
        await answer(send, 200, json.dumps(about).encode())
    else:
        await answer(send, {"/empty": 204, "/unchanged": 304}.get(path, 200), b"")
`;

const wsgi = `
import json

def echo(input):
    while piece := input.read1(65536):
        yield piece

def app(environ, start_response):
    path = environ["PATH_INFO"]
    headers = []
    body = [b""]
    if path == "/made":
        headers = [("x-made", "yes"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
        body = [b"made"]
    elif path == "/echo":
        body = echo(environ["wsgi.input"])
    elif path == "/unread":
        body = [b"unread"]
    elif path == "/throw":
        raise TypeError("it broke")
    elif path == "/about":
        about = {"method": environ["REQUEST_METHOD"], "path": path, "query": environ["QUERY_STRING"]}
        about["header"] = environ.get("HTTP_X_HEADER", "")
        about["body"] = environ["wsgi.input"].read().decode()
        body = [json.dumps(about).encode()]
    start_response({"/made": "201 Created", "/empty": "204 No Content", "/unchanged": "304 Not Modified"}.get(path, "200 OK"), headers)
    return body
`;

const functions: GuestFunctions = {
  echo: fn("def handler(input, context):\n    return input\n"),
  kind: fn(`
def handler(input, context):
    if input is None:
        return {"kind": "nothing", "value": None}
    if isinstance(input, str):
        return {"kind": "text", "value": input}
    if isinstance(input, bytes):
        return {"kind": "bytes", "value": list(input)}
    return {"kind": "json", "value": input}
`),
  answer: fn(answer + plainForm),
  error: fn(error + plainForm),
  asyncError: fn(error + asyncForm),
  http: fn(wsgi),
  context: fn(`
def handler(input, context):
    request = context.request and {name: getattr(context.request, name) for name in ("method", "path", "query", "headers", "params")}
    names = ("invocation", "tenant", "app", "function", "revision", "trace")
    return {
        **{name: getattr(context, name) for name in names},
        "deadlineMs": context.deadline.timestamp() * 1000,
        "remainingMs": context.remaining(),
        "request": request,
    }
`),
  log: fn(plainLog),
  flood: fn(`
def handler(input, context):
    for _ in range(input["lines"]):
        print("x" * 1000)
    return "flooded"
`),
  wait: fn(plainWait),
  count: fn(count("def init(context):\n    global inits\n    inits += 1\n")),
  initFails: fn(
    count(
      "async def init(context):\n    global inits\n    inits += 1\n    if inits == 1: raise TypeError('not yet')\n",
    ),
  ),
  initHangs: fn("import time\ndef init(context):\n    time.sleep(600)\ndef handler(input, context): pass\n"),
  environment: fn("import os\ndef handler(input, context):\n    return dict(os.environ)\n"),
  exit: fn(`
import sys, time

def handler(input, context):
    time.sleep(input["ms"] / 1000)
    sys.exit(input["code"])
`),
  spin: fn(`
import time

def handler(input, context):
    if not input["spin"]:
        return "fine"
    print("spinning")
    time.sleep(0.02)
    while True:
        pass
`),
  startsOnce: fn(`
import os

def init(context):
    once = os.path.join(os.environ["HOME"], "once")
    if os.path.exists(once):
        raise ValueError("once is enough")
    open(once, "w").close()

def handler(input, context):
    return "started"
`),
  exitsAtLoad: fn("import sys\nsys.exit(5)\n"),
  syntaxError: {
    ...fn("def handler(input, context):\n    x = 1\n    return x +\n"),
    place: /main\.py:3: .*return x \+/,
  },
  throwsAtLoad: fn('raise TypeError("broken at load")\n'),
  missingExport: {
    handler: "main.py#absent",
    files: { "main.py": "def resize(input, context): pass\ndef crop(input, context): pass\n" },
    expected: /main\.py does not define 'absent'; it defines resize, crop/,
  },
};

/** The same handler as a coroutine: `execution: loop` takes no other. */
function onLoop<T extends DrivenFunction>(given: T): T {
  return fnOf(given, sourceOf(given).replace(/^def handler\(/m, "async def handler("));
}

function sourceOf(given: DrivenFunction): string {
  return String(given.files["main.py"]);
}

function fnOf<T extends DrivenFunction>(given: T, source: string): T {
  return { ...given, files: { "main.py": source } };
}

const asyncFunctions: GuestFunctions = {
  ...(Object.fromEntries(
    Object.entries(functions).map(([name, given]) => [name, onLoop(given)]),
  ) as unknown as GuestFunctions),
  answer: fn(answer + asyncForm),
  http: fn(asgi),
  log: fn(asyncLog),
  wait: fn(asyncWait),
  initHangs: fn(
    "import asyncio\nasync def init(context):\n    await asyncio.sleep(600)\nasync def handler(input, context): pass\n",
  ),
  exit: fn(`
import asyncio, sys

async def handler(input, context):
    await asyncio.sleep(input["ms"] / 1000)
    sys.exit(input["code"])
`),
};

const missing = missingPython();
if (missing !== false) test("the Python guest", { skip: missing }, () => {});
else {
  const options = { runtime: "python", throwsOnlyExceptions: true };
  guestSuite("Python guest, plain handlers and WSGI", command, functions, { ...options, execution: "threads" });
  guestSuite("Python guest, coroutines and ASGI", command, asyncFunctions, { ...options, execution: "loop" });
  guestSuite("Python guest, a process for each slot", command, functions, { ...options, execution: "process" });
}
