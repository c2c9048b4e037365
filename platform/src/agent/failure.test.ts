import assert from "node:assert/strict";
import { test } from "node:test";
import { GONE_CAUSES } from "#contract/agent/link.ts";
import { ERRORS } from "#contract/errors.ts";
import { failureOf, usefulLine } from "./failure.ts";

const CRASH = `file:///bundle/index.mjs:3
  throw new TypeError("no such thing");
        ^

TypeError: no such thing
    at f (file:///bundle/index.mjs:3:9)

Node.js v24.21.0
`;

test("the line of a crash that names its reason is found", () => {
  assert.equal(usefulLine(CRASH), "TypeError: no such thing");
  assert.equal(usefulLine("Traceback (most recent call last):\n  File \"x.py\"\nKeyError: 'a'\n"), "KeyError: 'a'");
  assert.equal(usefulLine("one\ntwo\n\n"), "two");
  assert.equal(usefulLine(" \n"), undefined);
});

test("an exit is the function's where there was one, else the start's", () => {
  const exit = { cause: "exited", detail: "exited with code 1" } as const;
  assert.deepEqual(failureOf(exit, "serving", CRASH), {
    code: "function-exited",
    message: "the function's process exited with code 1: TypeError: no such thing",
  });
  assert.equal(failureOf(exit, "generic", "")?.code, "start-failed");
});

test("who was killed from outside on the way to ready is started again; what it did itself is the function's", () => {
  const killed = { cause: "killed", detail: "was killed by SIGKILL" } as const;
  assert.deepEqual(failureOf({ ...killed, fromOutside: true }, "starting", ""), {
    code: "start-failed",
    message: "the function's process was killed by SIGKILL before it was ready",
  });
  assert.equal(failureOf({ ...killed, fromOutside: true }, "serving", "")?.code, "function-exited");
  assert.equal(
    failureOf({ cause: "killed", detail: "was killed by SIGSEGV" }, "starting", "")?.code,
    "function-exited",
  );
});

test("every cause but the platform's own wish has a failure of the catalogue", () => {
  const silent = GONE_CAUSES.filter((cause) => failureOf({ cause, detail: "" }, "serving", "") === undefined);
  assert.deepEqual(silent, ["stopped", "idle", "grant-ended"]);
  for (const cause of GONE_CAUSES) {
    const failure = failureOf({ cause, detail: "" }, "serving", "");
    if (failure !== undefined) assert.ok(failure.code in ERRORS);
  }
});
