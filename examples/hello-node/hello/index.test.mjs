import assert from "node:assert/strict";
import { test } from "node:test";
import hello from "./index.mjs";

test("it logs whom it greets", (t) => {
  const log = t.mock.method(console, "log", () => {});
  hello({ name: "Ada" });
  assert.deepEqual(
    log.mock.calls.map((call) => call.arguments),
    [["greeting", "Ada"]],
  );
});

test("it greets who is named, and the world otherwise", () => {
  assert.deepEqual(hello({ name: "Ada" }), { hello: "Ada" });
  assert.deepEqual(hello(null), { hello: "world" });
  assert.deepEqual(hello({}), { hello: "world" });
});
