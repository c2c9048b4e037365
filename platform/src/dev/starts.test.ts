import assert from "node:assert/strict";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { refOf } from "./revisions.ts";
import { DevStarts, type LogEntry } from "./starts.ts";

const REF = { ...refOf("shop", "f"), revision: "r1" };
const FAILURE = { code: "load-failed", message: "TypeError: no way" } as const;
const STACK = "TypeError: no way\n    at deep (index.mjs:1:25)\n    at new Promise (<anonymous>)\n";

/** A start of r1, and what was told in lines. */
function begun() {
  const clock = new SimulatedClock();
  const told: string[] = [];
  let current: string | undefined = "r1";
  const starts = new DevStarts({
    clock,
    revisions: { current: () => current, settled() {} },
    tell(event) {
      if (event.kind === "log") told.push(`log ${event.entry.text.trimEnd()}`);
      else if (event.kind === "broken") told.push(`broken ${event.message}${event.stack && `\n${event.stack}`}`);
      else told.push(event.kind);
    },
  });
  starts.begin(REF, "r1", 0);
  const log = (text: string, more: Partial<LogEntry> = {}) =>
    starts.log(REF, { atMs: 0, stream: "stderr", level: "error", text, ...more }, "guest");
  const replace = () => {
    current = "r2";
    starts.begin(REF, current, 0);
  };
  const leave = () => {
    current = undefined;
    starts.remove(REF);
  };
  /** Again, with the next revision under its old name. */
  const come = () => {
    current = "r1";
  };
  return { clock, told, starts, log, replace, leave, come };
}

test("a failed start is told once, with its place, whatever is logged of it before and behind it", () => {
  const { told, starts, log } = begun();
  log("loading", { level: "info" });
  log("no settings");
  log(STACK);
  for (const line of STACK.split("\n")) log(line);
  starts.startFailed(REF, FAILURE);
  log(STACK);
  starts.startFailed(REF, FAILURE);
  assert.deepEqual(told, ["log loading", "log no settings", "broken TypeError: no way\n    at deep (index.mjs:1:25)"]);
  log("of an invocation", { invocation: "1" });
  assert.equal(told.at(-1), "log of an invocation");
});

test("once it has started what it logs is told, and the next failure again", () => {
  const { told, starts, log } = begun();
  starts.startFailed(REF, FAILURE);
  starts.started(REF);
  log("after");
  starts.startFailed(REF, FAILURE);
  assert.deepEqual(told, ["broken TypeError: no way", "ready", "log after", "broken TypeError: no way"]);
});

test("an error that is only logged waits a moment, not for the end of the start", async () => {
  const { clock, told, starts, log } = begun();
  log("careful");
  assert.deepEqual(told, []);
  await clock.advance(1_000);
  assert.deepEqual(told, ["log careful"]);
  log("at the end");
  starts.started(REF);
  assert.deepEqual(told, ["log careful", "log at the end", "ready"]);
});

test("the place is the frames of one's own code, the line a caret points to, or lines that were written raw", () => {
  const stackOf = (message: string, ...texts: string[]) => {
    const { told, starts, log } = begun();
    for (const text of texts) log(text);
    starts.startFailed(REF, { code: "load-failed", message });
    return told;
  };
  const nodes = "Error [ERR_MODULE_NOT_FOUND]: no x\n    at node:internal/a:1\n  code: 'ERR_MODULE_NOT_FOUND'\n}\n";
  assert.deepEqual(stackOf("no x", nodes, "  code: 'ERR_MODULE_NOT_FOUND'", "}"), ["broken no x"]);
  const syntax = "index.mjs:1\nconst = 1\n      ^\n\nSyntaxError: Unexpected token\n\nNode.js v24.0.0\n";
  assert.deepEqual(stackOf("SyntaxError: index.mjs:1: Unexpected token", syntax, "Node.js v24.0.0"), [
    "broken SyntaxError: index.mjs:1: Unexpected token\nconst = 1\n      ^",
  ]);
  const python = 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\n    f()\nE: x\n';
  assert.deepEqual(stackOf("E: x (a.py:1)", python), [
    'broken E: x (a.py:1)\n  File "a.py", line 1, in <module>\n    f()',
  ]);
  const exit = ["process.exit(3) called", "    at index.mjs:1:9", "    at run (node:internal/b:2)"];
  assert.deepEqual(stackOf("code 3: process.exit(3) called", ...exit), [
    "broken code 3: process.exit(3) called\n    at index.mjs:1:9",
  ]);
});

test("of a revision that was replaced before it has started nothing more is told, of one that runs everything is", () => {
  const early = begun();
  early.log(STACK);
  early.replace();
  early.log(STACK);
  early.starts.startFailed(REF, FAILURE);
  assert.deepEqual(early.told, []);
  const late = begun();
  late.starts.started(REF);
  late.replace();
  late.log("tick");
  assert.deepEqual(late.told, ["ready", "log tick"]);
});

test("of a function that is gone nothing is remembered, also when a start ends after that", () => {
  const { told, starts, leave, come } = begun();
  starts.startFailed(REF, FAILURE);
  leave();
  starts.started(REF);
  come();
  starts.startFailed(REF, FAILURE);
  assert.deepEqual(told, ["broken TypeError: no way", "broken TypeError: no way"]);
});
