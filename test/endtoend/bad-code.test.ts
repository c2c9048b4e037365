// Whatever a function's code does, its caller is told what to fix, its log tells why, the next invocation works, and its
// neighbours notice nothing.
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Answer } from "./http.ts";
import { type FunctionFolder, node, type Platform, python, startPlatform, until } from "./platform.ts";
import { guestsOf } from "./processes.ts";

interface Bad {
  readonly name: string;
  readonly fn: FunctionFolder;
  /** Of the answer to a call that misbehaves. */
  readonly status: number;
  readonly code: string;
  readonly message: RegExp;
  /** What the log has of the cause; undefined where the message is all there is. */
  readonly log?: RegExp;
}

/** Functions whose body sees `input`: they misbehave at "bad" and answer "good" otherwise. */
const good = (body: string, settings = {}) =>
  node(`export default async (input, context) => {\n  if (input !== "bad") return "good";\n${body}\n};`, settings);
const goodPython = (body: string, settings = {}) =>
  python(
    `import os, sys, time, threading\ndef handler(input, context):\n    if input != "bad":\n        return "good"\n    ${body}\n`,
    settings,
  );

/** Onto every socket that the process has: those of the guest link. */
const GARBAGE =
  "  for (const handle of process._getActiveHandles()) if (handle.remoteAddress === undefined && handle.write && handle.fd === undefined) handle.write(Buffer.alloc(64, 0xff));\n  await new Promise(() => {});";
const PYTHON_GARBAGE =
  "import socket, stat\n    for fd in range(3, 64):\n        try:\n            if stat.S_ISSOCK(os.fstat(fd).st_mode): socket.socket(fileno=os.dup(fd)).sendall(b'\\xff' * 64)\n        except OSError: pass\n    time.sleep(10)";

const BAD: readonly Bad[] = [
  {
    name: "throws",
    fn: good('  throw new RangeError("the cart is empty");'),
    status: 500,
    code: "function-error",
    message: /^RangeError: the cart is empty$/,
    log: /RangeError: the cart is empty\n +at .*index\.mjs:3/,
  },
  {
    name: "throws-text",
    fn: good('  throw "no reason";'),
    status: 500,
    code: "function-error",
    message: /no reason/,
    log: /no reason/,
  },
  {
    name: "circular",
    fn: good("  const self = {}; self.self = self; return self;"),
    status: 500,
    code: "answer-invalid",
    message: /can't be written as JSON: .*circular/,
  },
  {
    name: "bigint",
    fn: good("  return { total: 10n };"),
    status: 500,
    code: "answer-invalid",
    message: /can't be written as JSON: .*BigInt/,
  },
  {
    name: "status-invalid",
    fn: good('  return Object.defineProperty(new Response("x"), "status", { value: 9 });'),
    status: 500,
    code: "answer-invalid",
    message: /status/,
  },
  {
    name: "header-invalid",
    fn: good(
      '  const r = new Response("x"); Object.defineProperty(r, "headers", { value: new Map([["x y", "a\\r\\nb: c"]]) }); return r;',
    ),
    status: 500,
    code: "answer-invalid",
    message: /header/,
  },
  {
    name: "never-returns",
    fn: good("  await new Promise(() => {});", { timeout: "500ms" }),
    status: 504,
    code: "function-timeout",
    message: /did not finish within its timeout of 500 ms/,
  },
  {
    name: "spins",
    fn: good("  for (;;);", { timeout: "500ms" }),
    status: 504,
    code: "function-timeout",
    message: /did not finish within its timeout of 500 ms/,
  },
  {
    name: "exits-now",
    fn: good("  process.exit(3);"),
    status: 502,
    code: "function-exited",
    message: /exited with code 3/,
    log: /process\.exit\(3\) called by the function\n +at .*index\.mjs:3/,
  },
  {
    name: "exits-soon",
    fn: good("  setTimeout(() => process.exit(4), 20); await new Promise(() => {});"),
    status: 502,
    code: "function-exited",
    message: /exited with code 4/,
    log: /process\.exit\(4\) called by the function/,
  },
  {
    name: "kills-itself",
    fn: good('  process.kill(process.pid, "SIGKILL"); await new Promise(() => {});'),
    status: 502,
    code: "function-exited",
    message: /killed by SIGKILL/,
  },
  {
    name: "eats-buffers",
    fn: good("  const all = []; for (;;) { all.push(Buffer.alloc(8 << 20, 1)); await new Promise(setImmediate); }", {
      memory: "128MiB",
    }),
    status: 502,
    code: "out-of-memory",
    message: /out of memory at 128 MiB/,
  },
  {
    name: "eats-heap",
    fn: good("  const all = []; for (;;) all.push({ at: all.length, more: [all.length] });", { memory: "128MiB" }),
    status: 502,
    code: "out-of-memory",
    message: /out of memory at 128 MiB/,
  },
  {
    name: "throws-later",
    fn: good('  setTimeout(() => { throw new TypeError("much later"); }, 20); await new Promise(() => {});'),
    status: 500,
    code: "function-error",
    message: /TypeError: much later/,
    log: /TypeError: much later\n +at /,
  },
  {
    name: "rejects-unheard",
    fn: good('  Promise.reject(new TypeError("unheard")); await new Promise(() => {});'),
    status: 500,
    code: "function-error",
    message: /TypeError: unheard/,
    log: /TypeError: unheard\n +at /,
  },
  {
    name: "garbage-frames",
    fn: good(GARBAGE, { timeout: "3s" }),
    status: 502,
    code: "guest-violation",
    message: /broke (the guest|its) protocol/,
  },
  {
    name: "python-throws",
    fn: goodPython('raise KeyError("cart")'),
    status: 500,
    code: "function-error",
    message: /KeyError: 'cart'/,
    log: /Traceback[\s\S]*handler\.py[\s\S]*KeyError: 'cart'/,
  },
  {
    name: "python-circular",
    fn: goodPython("self = {}; self['self'] = self; return self"),
    status: 500,
    code: "answer-invalid",
    message: /answer\['self'\] is a dict that contains itself/,
  },
  {
    name: "python-no-json",
    fn: goodPython("return {'when': object()}"),
    status: 500,
    code: "answer-invalid",
    message: /object/,
  },
  {
    name: "python-spins",
    fn: goodPython("\n    while True: pass", { timeout: "500ms" }),
    status: 504,
    code: "function-timeout",
    message: /did not finish within its timeout of 500 ms/,
  },
  {
    name: "python-exits-now",
    fn: goodPython("os._exit(3)"),
    status: 502,
    code: "function-exited",
    message: /exited with code 3/,
  },
  {
    name: "python-sys-exit",
    fn: goodPython('sys.exit("no more")'),
    status: 502,
    code: "function-exited",
    message: /^the function's process exited with code 1: SystemExit: no more$/,
    log: /exit\(1\) called by the function\n[\s\S]*handler\.py/,
  },
  {
    name: "python-eats",
    fn: goodPython("all = []\n    while True: all.append(bytearray(b'x' * (8 << 20)))", { memory: "128MiB" }),
    status: 502,
    code: "out-of-memory",
    message: /out of memory at 128 MiB/,
  },
  {
    name: "python-garbage",
    fn: goodPython(PYTHON_GARBAGE, { timeout: "3s" }),
    status: 502,
    code: "guest-violation",
    message: /broke (the guest|its) protocol/,
  },
  {
    name: "process-exits",
    fn: good("  process.exit(3);", { execution: "process" }),
    status: 502,
    code: "function-exited",
    message: /exited with code 3/,
    log: /process\.exit\(3\) called by the function\n +at .*index\.mjs:3/,
  },
  {
    name: "process-spins",
    fn: good("  for (;;);", { execution: "process", timeout: "2s" }),
    status: 504,
    code: "function-timeout",
    message: /did not finish within its timeout of 2000 ms/,
  },
  {
    name: "process-garbage",
    fn: good(GARBAGE, { execution: "process", timeout: "3s" }),
    status: 502,
    code: "function-exited",
    message: /it broke the guest link/,
  },
  {
    name: "python-process-exits",
    fn: goodPython('sys.exit("no more")', { execution: "process" }),
    status: 502,
    code: "function-exited",
    message: /^the function's process exited with code 1: SystemExit: no more$/,
    log: /exit\(1\) called by the function\n[\s\S]*handler\.py/,
  },
  {
    name: "python-process-spins",
    fn: goodPython("\n    while True: pass", { execution: "process", timeout: "2s" }),
    status: 504,
    code: "function-timeout",
    message: /did not finish within its timeout of 2000 ms/,
  },
  {
    name: "python-process-garbage",
    fn: goodPython(PYTHON_GARBAGE, { execution: "process", timeout: "3s" }),
    status: 502,
    code: "function-exited",
    message: /it broke the guest link/,
  },
];

let platform: Platform;
let neighbourhood: { end(): Promise<readonly string[]> };
before(async () => {
  platform = await startPlatform();
  const functions = Object.fromEntries(BAD.map(({ name, fn }) => [name, fn]));
  await platform.deploy("bad", functions);
  await platform.deploy("good", { neighbour: node('export default () => "fine";') });
  neighbourhood = watchNeighbour();
});
after(async () => {
  await neighbourhood?.end();
  await platform?.close();
});

/** Calls a good function all the while. */
function watchNeighbour() {
  let over = false;
  const seen = new Set<string>();
  const asking = (async () => {
    while (!over) {
      const { status, text } = await platform.call("good/neighbour");
      seen.add(`${status} ${text}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  })();
  return {
    async end() {
      over = true;
      await asking;
      return [...seen];
    },
  };
}

const callBad = (name: string) =>
  platform.call(`bad/${name}`, { headers: { "content-type": "text/plain" }, body: "bad" });
const callGood = (name: string) =>
  platform.call(`bad/${name}`, { headers: { "content-type": "text/plain" }, body: "go on" });

describe("a function that misbehaves", { concurrency: 4 }, () => {
  for (const { name, status, code, message, log } of BAD)
    test(name, async () => {
      const answer = await callBad(name);
      assert.deepEqual([answer.status, answer.code], [status, code], answer.text);
      assert.match(answer.message, message);
      assert.match(answer.json.detail, message);
      assert.ok(!answer.text.includes(platform.home), "callers are told where the platform's files are");
      await assertGood(name);
      assert.equal((await platform.record(`bad/${name}`, idOf(answer))).outcome, code);
      if (log !== undefined) await untilLogged(name, log);
    });
});

describe("a function that misbehaves after its answer", () => {
  const later = (statement: string) => good(`  setTimeout(() => { ${statement} }, 20); return "answered";`);
  const LATER = {
    "later-exits": { fn: later("process.exit(5)"), log: /process\.exit\(5\) called by the function/ },
    "later-throws": { fn: later('throw new TypeError("too late")'), log: /uncaught exception: TypeError: too late/ },
    "later-rejects": {
      fn: later('Promise.reject(new TypeError("unheard"))'),
      log: /unhandled rejection: TypeError: unheard/,
    },
  };

  test("its caller has the answer, the log has the cause, and the next invocation works", async () => {
    await platform.deploy("bad", Object.fromEntries(Object.entries(LATER).map(([name, { fn }]) => [name, fn])));
    for (const [name, { log }] of Object.entries(LATER)) {
      assert.equal((await callBad(name)).text, "answered");
      await untilLogged(name, log);
      await assertGood(name);
    }
  });
});

test("with a process for each slot, those in the same sandbox do not notice", async () => {
  const slow =
    "if (input === 'slow') { console.log('begun'); await new Promise((go) => setTimeout(go, 1_000)); return process.ppid; }";
  const fn = node(`export default async (input) => { ${slow} if (input === "spin") for (;;); process.exit(7); };`, {
    execution: "process",
    timeout: "1500ms",
    scaling: { max: 1 },
  });
  await platform.deploy("bad", { beside: fn });
  const call = (body: string) => platform.call("bad/beside", { headers: { "content-type": "text/plain" }, body });
  const sandbox = (await call("slow")).text;
  for (const [body, status] of [
    ["exit", 502],
    ["spin", 504],
  ] as const) {
    const beside = call("slow");
    const bad = call(body);
    assert.deepEqual([(await beside).status, (await beside).text], [200, sandbox], `beside ${body}`);
    assert.equal((await bad).status, status);
    assert.equal((await call("slow")).text, sandbox, "the sandbox is the same");
  }
});

test("a hundred megabytes to the log are cut, counted, and take little of the disk", async () => {
  const fn = good(
    '  const line = "x".repeat(1000); for (let n = 0; n < 100_000; n++) console.log(line); return "logged";',
  );
  await platform.deploy("bad", { "logs-much": fn });
  assert.equal((await callBad("logs-much")).text, "logged");
  await untilLogged("logs-much", /\d+ (?:lines|entries).*(?:dropped|lost)/);
  await assertGood("logs-much");
  const folder = join(platform.home, "control", "logs", "default", "bad", "logs-much");
  const bytes = readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
  assert.ok(bytes > 100_000 && bytes < 20_000_000, `${bytes} bytes of log`);
});

describe("code that can't be run", () => {
  const UNLOADABLE: Record<string, { fn: FunctionFolder; code: string; message: RegExp }> = {
    // CommonJS: what it exports is known once it runs.
    "no-export": {
      fn: {
        settings: { runtime: "nodejs", handler: "index.cjs#handler" },
        files: { "index.cjs": "exports.other = 1;" },
      },
      code: "load-failed",
      message: /index\.cjs has no export handler; it exports .*other/,
    },
    "no-function": { fn: node("export default 42;"), code: "load-failed", message: /is a number, not a function/ },
    "throws-at-top": {
      fn: node('throw new Error("no database address");\nexport default () => "good";'),
      code: "load-failed",
      message: /no database address/,
    },
    "no-module": {
      fn: node('await import("left-pad");\nexport default () => "good";'),
      code: "load-failed",
      message: /left-pad/,
    },
    "init-throws": {
      fn: node('export const init = () => { throw new Error("no licence"); };\nexport default () => "good";'),
      code: "init-failed",
      message: /no licence/,
    },
    "python-no-export": {
      fn: python("globals().update(other=1)\n"),
      code: "load-failed",
      message: /handler\.py .*handler/,
    },
    "python-no-module": {
      fn: python('handler = __import__("leftpad").pad\n'),
      code: "load-failed",
      message: /No module named 'leftpad'/,
    },
  };

  test("is told to whoever calls it; fixed, it works", async () => {
    const functions = Object.entries(UNLOADABLE);
    await platform.deploy("broken", Object.fromEntries(functions.map(([name, { fn }]) => [name, fn])));
    for (const [name, { code, message }] of functions) {
      const answer = await platform.call(`broken/${name}`);
      assert.deepEqual([answer.status, answer.code], [500, code], `${name}: ${answer.text}`);
      assert.match(answer.message, message, name);
    }
    await platform.deploy("broken", {
      "no-export": node('export const handler = () => "fixed";', { handler: "index.mjs#handler" }),
    });
    assert.equal((await platform.call("broken/no-export")).text, "fixed");
  });

  const REFUSED: Record<string, { fn: FunctionFolder; message: RegExp }> = {
    "no-such-export": {
      fn: node("export const other = 1;", { handler: "index.mjs#handler" }),
      message: /index\.mjs has no export handler; it exports other/,
    },
    "no-such-package": { fn: node('import "left-pad";\nexport default () => 1;'), message: /npm install left-pad/ },
    "python-no-handler": { fn: python("other = 1\n"), message: /handler\.py does not define 'handler'/ },
    "syntax-error": { fn: node("export default () => {\n  const a = ;\n};"), message: /index\.mjs.*\b2\b/ },
    "typescript-error": {
      fn: { settings: { runtime: "nodejs", handler: "index.ts" }, files: { "index.ts": "const a: number =\n\n;;)" } },
      message: /index\.ts.*\b3\b/,
    },
    "python-error": { fn: python("def handler(input, context):\n    return (\n"), message: /handler\.py.*\b2\b/ },
  };
  for (const [name, { fn, message }] of Object.entries(REFUSED))
    test(`${name}: refused when it is deployed, naming the file and what is wrong`, async () => {
      const { code, err } = await platform.tryDeploy("unparsable", { [name]: fn });
      assert.equal(code, 1);
      assert.match(err, message);
      assert.match(err, new RegExp(name));
      assert.equal((await platform.call(`unparsable/${name}`)).status, 404);
    });
});

test("neighbours answered all the while, and nothing bad is left running", async () => {
  assert.deepEqual(await neighbourhood.end(), ["200 fine"]);
  assert.equal((await platform.colibri("delete", "bad", "--yes")).code, 0);
  assert.equal((await platform.colibri("delete", "broken", "--yes")).code, 0);
  await until("only the neighbour has a sandbox", () => guestsOf(platform.home).length === 1);
});

function idOf(answer: Answer): string {
  return String(answer.headers["colibri-invocation-id"]);
}

async function assertGood(name: string): Promise<void> {
  const { status, text } = await callGood(name);
  assert.deepEqual([status, text], [200, "good"]);
}

function untilLogged(name: string, pattern: RegExp): Promise<true> {
  return until(`${pattern} in the log`, async () => {
    const lines = await platform.logs(`bad/${name}`);
    return pattern.test(lines.map(({ text }) => text).join("\n"));
  });
}
