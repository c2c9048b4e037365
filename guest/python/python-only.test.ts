import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { GUEST_FRAMES } from "#contract/guest/link.ts";
import { encodeFrame, encodePreamble, FLAG_FIN } from "#contract/link/frame.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { REVISION } from "#guest/testing/driven-control.ts";
import { GuestDriver } from "#guest/testing/guest-driver.ts";
import { until, within } from "#guest/testing/limit.ts";
import { missingPython, PYTHON_OPTIONS, readyPython as start, startPython } from "./python.fixture.ts";

const PYTHON = "python3";

/** What only Python has. What every guest must do is in the shared suite. */
describe("Python guest, what only Python has", { skip: missingPython(), concurrency: 2 }, () => {
  test("user code does not start before ACCEPTED is in the kernel's hands", async (t) => {
    const { guest, control } = await start(
      t,
      "def handler(input, context):\n    print('started', input)\n    return 'x' * 1_000_000\n",
    );
    const socket = connect({ path: guest.socketPath });
    t.after(() => socket.destroy());
    socket.pause();
    const invoke = (stream: number, id: string) =>
      encodeFrame(
        GUEST_FRAMES.INVOKE,
        FLAG_FIN,
        stream,
        JSON.stringify({ id, ...REVISION, budgetMs: 60_000, contentType: "text/plain" }),
        Buffer.from(String(stream)),
      );
    socket.write(encodePreamble("data"));
    socket.write(encodeFrame(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify({ owner: "slow", epoch: 1 }), null));
    // Two windows are more than the socket takes.
    socket.write(Buffer.concat([invoke(1, "01J0000000000000000000000A"), invoke(2, "01J0000000000000000000000B")]));
    await control.log((entry) => entry.text === "started 2", "of the second");
    let before = -1;
    for (let turn = 0; turn < 50; turn++) before = await control.ping();
    assert.equal(before, 2);
    socket.write(invoke(3, "01J0000000000000000000000C"));
    while ((await control.ping()) < 3);
    for (let turn = 0; turn < 50; turn++) await control.ping();
    assert.ok(!control.logs.some((entry) => entry.text === "started 3"), "it started, and nobody was told");
    socket.resume();
    await control.log((entry) => entry.text === "started 3", "of the third");
  });

  test("a handler that can't take what it is given is told what that is; what it calls wrongly itself is its own", async (t) => {
    for (const kind of ["def", "async def"]) {
      const { control, data } = await start(t, `${kind} handler(input): pass\n`);
      const says = "handler() takes 1 positional argument but 2 were given; handlers take (input, context)";
      assert.equal((await data.json({})).error?.message, says);
      await control.log((entry) => entry.text === `TypeError: ${says}`, "of the failure");
      const inner = await start(t, `def part(): pass\n${kind} handler(input, context): part(1)\n`);
      const { error } = await inner.data.json({});
      assert.equal(error?.message, "part() takes 0 positional arguments but 1 was given");
    }
  });

  test("raw writes pass by the log; threads in a copied context are tagged, bare ones are not", async (t) => {
    const { guest, control, data } = await start(
      t,
      `
import contextvars, os, threading

def handler(input, context):
    os.write(1, b"raw one\\n")
    os.write(2, b"raw two\\n")
    copied = contextvars.copy_context()
    for work in (lambda: print("bare"), lambda: copied.run(print, "copied")):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
`,
    );
    const invocation = data.start({});
    await invocation.end();
    assert.equal((await control.log((entry) => entry.text === "copied", "copied")).invocation, invocation.id);
    assert.equal((await control.log((entry) => entry.text === "bare", "bare")).invocation, undefined);
    await until(() => guest.stdout.includes("raw one\n") && guest.stderr.includes("raw two\n"), "raw output");
    assert.ok(!control.logs.some((entry) => entry.text.includes("raw")));
  });

  test("what the guest itself would complain of may find nobody who reads", async (t) => {
    const { guest, data } = await start(
      t,
      "import sys\ndef handler(input, context):\n    return 'here' if input is None else sys.exit(6)\n",
    );
    guest.child.stderr!.destroy();
    for (let turn = 0; turn < 5; turn++) await within(guest.raw(Buffer.alloc(64, 0xff)).closed, "end of the stream");
    assert.equal((await data.invoke()).body.toString(), "here");
    assert.equal((await data.json("exit")).kind, "lost");
    assert.deepEqual(await within(guest.exited, "exit"), { code: 6, signal: null });
  });

  test("what a broken pipe raises is the function's error, and the guest lives", async (t) => {
    const { guest, data } = await start(t, "import os\ndef handler(input, context):\n    os.write(1, b'x')\n");
    guest.child.stdout!.destroy();
    // The first write may still find the pipe open at the other end.
    let outcome = await data.invoke();
    while (outcome.kind === "ok") outcome = await data.invoke();
    assert.deepEqual([outcome.code, outcome.error?.name], ["function-error", "BrokenPipeError"]);
  });

  test("a plain handler may answer with a coroutine or an async generator", async (t) => {
    const { data } = await start(
      t,
      `
import asyncio

async def work():
    await asyncio.sleep(0)
    return {"done": True}

async def stream():
    yield "a"
    await asyncio.sleep(0)
    yield "b"

def handler(input, context):
    return work() if input == "work" else stream()
`,
    );
    assert.equal((await data.json("work")).body.toString(), '{"done":true}');
    assert.equal((await data.json("stream")).body.toString(), "ab");
  });

  test("a generator that waits for its reader is closed when it is cancelled", async (t) => {
    for (const kind of ["def", "async def"]) {
      const { control, data } = await start(
        t,
        `
${kind} handler(input, context):
    try:
        while True:
            yield b"x" * 65536
    finally:
        print("closed", context.cancelled.reason)
`,
      );
      const invocation = data.start({ credit: false });
      await until(() => invocation.received === 256 * 1024, "a full window");
      invocation.cancel("deadline");
      assert.equal((await invocation.end()).kind, "cancelled");
      assert.equal((await control.log((entry) => entry.text === "closed deadline", kind)).invocation, invocation.id);
    }
  });

  test("context variables of one invocation are not seen by the next", async (t) => {
    const { data } = await start(
      t,
      `
import contextvars
seen = contextvars.ContextVar("seen", default="nothing")

def handler(input, context):
    before = seen.get()
    seen.set("something")
    return before
`,
      { concurrency: 1 },
    );
    for (let turn = 0; turn < 3; turn++) assert.equal((await data.invoke()).body.toString(), "nothing");
  });

  test("a module may run a loop of its own while it is imported, and failing background tasks are logged", async (t) => {
    const { control, data } = await start(
      t,
      `
import asyncio, gc

async def set_up():
    await asyncio.sleep(0)
    return 7

value = asyncio.run(set_up())

async def fail():
    raise ValueError("in the background")

async def handler(input, context):
    task = asyncio.create_task(fail())
    await asyncio.sleep(0)
    del task
    gc.collect()
    return value
`,
      { execution: "loop" },
    );
    assert.equal((await data.invoke()).body.toString(), "7");
    await control.log((entry) => entry.level === "error" && entry.text.includes("in the background"), "of the task");
  });

  test("sys.exit in a background task ends the process too", async (t) => {
    const { guest, data } = await start(
      t,
      `
import asyncio, sys

async def leave():
    sys.exit(5)

async def handler(input, context):
    kept = asyncio.create_task(leave())
    await asyncio.sleep(60)
`,
      { execution: "loop" },
    );
    const outcome = await data.invoke();
    assert.deepEqual([outcome.kind, outcome.accepted], ["lost", true]);
    assert.deepEqual(await within(guest.exited, "exit"), { code: 5, signal: null });
    assert.match(guest.stderr, /exit\(5\) called by the function\n[\s\S]*sys\.exit\(5\)[\s\S]*\nSystemExit: 5/);
  });

  const REPLACED: Readonly<Record<string, string>> = {
    "the functions of json":
      "import json\nfor name in ('dumps', 'loads', 'JSONEncoder', 'JSONDecoder', 'JSONDecodeError'): setattr(json, name, None)",
    "the methods of json's classes":
      "import json\ndef no(*_): raise RuntimeError('no json')\njson.JSONEncoder.encode = json.JSONEncoder.iterencode = json.JSONDecoder.decode = json.JSONDecoder.raw_decode = no",
    "the clock by one that stands still":
      "import time\nfor name in ('time', 'monotonic', 'perf_counter'): setattr(time, name, lambda: 0)",
    "the clock by nothing":
      "import time\nfor name in ('monotonic', 'perf_counter', 'sleep'): setattr(time, name, None)",
    "the names of asyncio":
      "import asyncio\nfor name in ('get_running_loop', 'wait', '_set_running_loop', 'set_event_loop', 'CancelledError', 'Future', 'Task', 'Event'): setattr(asyncio, name, None)",
    "standard output": "import sys\nsys.stdout = sys.stderr = None",
  };
  for (const [what, damage] of Object.entries(REPLACED))
    for (const kind of ["def", "async def"])
      test(`user code that replaces ${what} gets its answers and errors all the same: ${kind}`, async (t) => {
        const { control, data } = await start(
          t,
          `${damage}\n${kind} handler(input, context):\n    context.log.info('logged')\n    if input == 'throw': raise ValueError('thrown')\n    return {'a': 'x' * 300_000} if input == 'large' else (piece for piece in ('one ', 'two')) if input == 'stream' else {'a': [1]}\n`,
          { execution: kind === "def" ? "threads" : "loop" },
        );
        assert.equal((await data.json("json")).body.toString(), '{"a":[1]}');
        assert.equal((await data.json("large")).body.length, 300_008);
        assert.equal((await data.json("stream")).body.toString(), "one two");
        const { code, error } = await data.json("throw");
        assert.deepEqual([code, error?.name, error?.message], ["function-error", "ValueError", "thrown"]);
        await control.log(({ text }) => text === "logged", "of the function");
        assert.equal(await control.ping(), 0);
      });

  test("user code that takes from the guest what it lives on ends its process, which says why", async (t) => {
    const guest = await startPython(t);
    const control = await guest.control();
    const source =
      "import asyncio.base_events\nasyncio.base_events.heapq = None\nasyncio.base_events.BaseEventLoop._run_once = None\n";
    void control
      .load("main.py", guest.writeFiles({ "main.py": `${source}handler = print\n` }), { execution: "loop" })
      .catch(() => {});
    assert.deepEqual(await within(guest.exited, "its end"), { code: 1, signal: null });
    await until(() => /colibri guest: its event loop failed: .*TypeError/s.test(guest.stderr), "its last words");
  });

  test("an ASGI application that does not answer, or not to the end, is told so; after its answer it may go on", async (t) => {
    const { control, data } = await start(
      t,
      `
import asyncio

async def app(scope, receive, send):
    path = scope["path"].removeprefix(scope["root_path"])
    if path == "/silent":
        return
    if path == "/watch":
        assert not (await receive())["more_body"]
        gone = asyncio.create_task(receive())
        await asyncio.sleep(0.01)
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"gone" if gone.done() else b"still here"})
        assert (await gone)["type"] == "http.disconnect"
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"a b", b"c")] if path == "/bad" else []})
    await send({"type": "http.response.body", "body": b"half", "more_body": path == "/half"})
    if path == "/on":
        while (await receive())["type"] != "http.disconnect":
            pass
        await asyncio.sleep(0.01)
        print("went on")
`,
      { execution: "loop" },
    );
    const get = (path: string) => data.invoke({ request: { method: "GET", path, query: "", headers: [] } });
    const cases = [
      ["/silent", undefined, /it did not answer/],
      ["/half", 200, /its answer is not complete/],
      ["/bad", undefined, /a header named 'a b'/],
    ] as const;
    for (const [path, status, message] of cases) {
      const outcome = await get(path);
      assert.deepEqual([outcome.kind, outcome.code, outcome.status], ["error", "answer-invalid", status], path);
      assert.match(outcome.error!.message, message);
    }
    assert.equal((await get("/on")).body.toString(), "half");
    assert.equal((await get("/watch")).body.toString(), "still here");
    await control.ping();
    assert.ok(
      control.logs.some((entry) => entry.text === "went on" && entry.invocation !== undefined),
      "within the invocation",
    );
  });

  test("as it is shipped, one file, it answers, and its own modules hide none of the function's", async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "colibri-bundle-"));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const { python } = await bundleGuests(folder);
    for (const execution of ["threads", "process"] as const) {
      const guest = await GuestDriver.start({ file: PYTHON, args: [...PYTHON_OPTIONS, python!] });
      t.after(() => guest.stop());
      const files = {
        "main.py":
          "import frames, sys\ndef handler(input, context):\n    return [input, frames.X, sys.path[-1][-4:]]\n",
        "frames.py": "X = 'mine'\n",
      };
      const { data } = await guest.ready({ handler: "main.py", files }, { execution });
      assert.equal((await data.json("shipped")).body.toString(), '["shipped","mine",".pyz"]');
    }
  });

  test("packages work as when pip installs them where Python looks, in every process", async (t) => {
    const files = {
      "main.py": `
import sys, extra, shared.ours, shared.theirs
def handler(input, context):
    if input == "leave": exit(3)
    where = [sys.path.index(folder) for folder in ROOTS]
    return [extra.X, shared.ours.X, shared.theirs.X, sys.made_by_pth, where == [0, 1], callable(help)]
import os
ROOTS = [os.path.dirname(__file__), os.path.join(os.path.dirname(__file__), "_packages")]
`,
      "shared/ours.py": "X = 'ours'\n",
      "_packages/shared/theirs.py": "X = 'theirs'\n",
      "_packages/extra.pth": "# a comment\nlib/deep\nimport sys; sys.made_by_pth = 'pth'\n",
      "_packages/lib/deep/extra.py": "X = 'extra'\n",
    };
    for (const execution of ["threads", "process"] as const) {
      const guest = await startPython(t);
      const { data } = await guest.ready({ handler: "main.py", files }, { execution });
      assert.equal((await data.json("")).body.toString(), '["extra","ours","theirs","pth",true,true]', execution);
      const { kind, code } = await data.json("leave");
      assert.deepEqual([kind, code], execution === "process" ? ["error", "function-exited"] : ["lost", undefined]);
    }
  });

  test("Ctrl-C in the terminal of the platform does not reach the function", async (t) => {
    const { guest, data } = await start(t, "def handler(input, context):\n    return 'here'\n");
    guest.child.kill("SIGINT");
    assert.equal((await data.invoke()).body.toString(), "here");
    assert.equal((await data.invoke()).body.toString(), "here");
    assert.equal(guest.child.exitCode, null);
  });
});
