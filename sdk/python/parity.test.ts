// What the test kit gives is what a real guest gives, for one table of inputs and forms of answers.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { GuestInvoke } from "#contract/guest/link.ts";
import { missingPython, readyPython } from "#guest/python/python.fixture.ts";
import { buildWheel } from "./wheel.fixture.ts";

const FORMS = `
import logging, sys
from colibri import Response

def texts():
    yield from ("a", "bü")

def pieces():
    yield from (b"\\0", bytearray(b"\\1"), memoryview(b"\\xff"))

def late():
    yield "a"
    raise ValueError("late")

def first():
    raise ValueError("first")
    yield "never"

def odd():
    yield "a"
    yield 7

def circular():
    value = []
    value.append(value)
    return value

def throws():
    raise TypeError("it broke")

def logs(context):
    print("out", {"a": 1})
    print("err", file=sys.stderr)
    sys.stdout.write("partial")
    logging.getLogger("lib").info("lib %s", 1)
    logging.getLogger("lib").debug("unheard")
    context.log.debug("debug")
    context.log.error("error")
    return "logged"

FORMS = {
    "/nothing": lambda *_: None,
    "/text": lambda *_: "grüße",
    "/number": lambda *_: 1.5,
    "/json": lambda *_: {"a": [1, {"b": None}], "ü": True},
    "/bytes": lambda *_: b"\\0\\1\\xff",
    "/response": lambda *_: Response({"made": 1}, 201, [("x-a", "1"), ("set-cookie", "a=1"), ("set-cookie", "b=2")]),
    "/response-bad": lambda *_: Response("x", 99),
    "/header-bad": lambda *_: Response("x", headers={"a b": "c"}),
    "/set": lambda *_: {1, 2},
    "/nan": lambda *_: float("nan"),
    "/nested": lambda *_: {"a": [b"x"]},
    "/circular": lambda *_: circular(),
    "/texts": lambda *_: texts(),
    "/pieces": lambda *_: pieces(),
    "/empty": lambda *_: iter(()),
    "/late": lambda *_: late(),
    "/first": lambda *_: first(),
    "/odd": lambda *_: odd(),
    "/large": lambda *_: "x" * 1_000_000,
    "/throws": lambda *_: throws(),
    "/logs": lambda input, context: logs(context),
    "/input": lambda input, context: [type(input).__name__, input.hex() if isinstance(input, bytes) else input],
    "/facts": lambda input, context: [context.app, context.function, context.trace, context.request.method,
                                      context.request.query, context.request.headers, context.request.params],
}
`;
const PLAIN = `${FORMS}
def handler(input, context):
    return FORMS[context.request.path](input, context)
`;
const ASYNC = `${FORMS}
import asyncio

async def handler(input, context):
    await asyncio.sleep(0)
    return FORMS[context.request.path](input, context)
`;

type Case = {
  path: string;
  body?: string;
  type?: string;
  query?: string;
  headers?: Record<string, string>;
  params?: Record<string, string>;
};

const base64 = (text: string | number[]) => Buffer.from(text as string).toString("base64");
const CASES: readonly Case[] = [
  ...[...FORMS.matchAll(/^ {4}"(\/[\w-]+)":/gm)]
    .map(([, path]) => ({ path: path! }))
    .filter(({ path }) => path !== "/input"),
  { path: "/input" },
  { path: "/input", body: base64("text"), type: "text/plain" },
  { path: "/input", body: base64([1, 2]), type: "application/octet-stream" },
  { path: "/input", body: base64('{"a":[1]}'), type: "application/json" },
  { path: "/input", body: base64("{"), type: "application/json" },
  { path: "/input", body: base64([0xff]), type: "text/plain" },
  { path: "/input", body: base64([0xe4]), type: "text/plain; charset=latin1" },
  { path: "/input", body: base64("NaN"), type: "application/json" },
  { path: "/input", body: base64("ü".repeat(400_000)), type: "text/plain" },
  { path: "/facts", query: "a=1&a=2&b", headers: { Cookie: "a=1", host: "a.example" }, params: { id: "7" } },
];

/** Reads the cases from standard input and answers them by the kit. */
const RUNNER = `
import base64, hashlib, json, sys
import main
from colibri.testing import TestFunction

out = sys.stdout
answers = []
with TestFunction(main, app="shop", function="thumbnail") as function:
    for case in json.load(open("cases.json")):
        body = base64.b64decode(case["body"]) if "body" in case else None
        answer = function.invoke(body, content_type=case.get("type"), path=case["path"], query=case.get("query", ""),
                                 headers=case.get("headers"), params=case.get("params"), trace="00-a-b-01")
        failed = "colibri-error-code" in answer.headers
        error = answer.error and [answer.error.code, answer.error.name, answer.error.message]
        answers.append({
            "status": None if failed else answer.status,
            "headers": [] if failed else answer.header_list,
            "body": hashlib.sha256(b"").hexdigest() if failed else hashlib.sha256(answer.body).hexdigest(),
            "error": error,
            "logs": [[entry.stream, entry.level, entry.text.split("\\n")[0]] for entry in answer.logs],
        })
json.dump(answers, out)
`;

function headOf({ path, type, query = "", headers = {}, params = {} }: Case): Partial<GuestInvoke> {
  const named: Record<string, string> = { host: "localhost", ...(type !== undefined && { "content-type": type }) };
  for (const [name, value] of Object.entries(headers)) named[name.toLowerCase()] = value;
  return {
    trace: "00-a-b-01",
    request: { method: "POST", path, query, headers: Object.entries(named).flat(), params },
  };
}

describe("the Python test kit gives what a deployed function gives", { skip: missingPython() }, () => {
  for (const [name, source, execution] of [
    ["plain", PLAIN, "threads"],
    ["async", ASYNC, "loop"],
  ] as const)
    test(name, async (t) => {
      const built = await buildWheel();
      t.after(() => built.remove());
      writeFileSync(join(built.folder, "main.py"), source);
      writeFileSync(join(built.folder, "cases.json"), JSON.stringify(CASES));
      const answers = JSON.parse((await built.run(["-c", RUNNER], built.folder)).stdout);
      const { control, data } = await readyPython(t, source, { execution });
      for (const [index, given] of CASES.entries()) {
        const body = given.body === undefined ? {} : { body: Buffer.from(given.body, "base64") };
        const invocation = data.start({ ...headOf(given), ...body });
        const outcome = await invocation.end();
        await control.ping();
        const logs = control.logs.filter((entry) => entry.invocation === invocation.id);
        const pairs = outcome.headers.flatMap((header, at) =>
          at % 2 === 0 ? [[header, outcome.headers[at + 1]]] : [],
        );
        const expected = {
          status: outcome.status ?? null,
          headers: pairs,
          body: createHash("sha256").update(outcome.body).digest("hex"),
          error: outcome.error ? [outcome.code, outcome.error.name, outcome.error.message] : null,
          logs: logs.map(({ stream, level, text }) => [stream, level, text.split("\n")[0]]),
        };
        assert.deepEqual(answers[index], expected, JSON.stringify(given).slice(0, 200));
      }
    });
});
