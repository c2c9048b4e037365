import assert from "node:assert/strict";
import { test } from "node:test";
import { builtHandler, runtimeFamily, splitHandler, splitRuntime } from "./handler.ts";

test("TypeScript handlers have another name in the bundle", () => {
  assert.equal(builtHandler("src/index.ts#resize"), "src/index.mjs#resize");
  assert.deepEqual(["a.mts", "a.cts", "a.tsx"].map(builtHandler), ["a.mjs", "a.mjs", "a.mjs"]);
  for (const handler of ["index.mjs", "index.js#ts", "handler.py", "a.ts.js"])
    assert.equal(builtHandler(handler), handler);
});

test("handlers and runtimes are split", () => {
  assert.deepEqual(splitHandler("a.py#b"), { file: "a.py", export: "b" });
  assert.deepEqual(splitHandler("a.py"), { file: "a.py" });
  assert.deepEqual(splitRuntime("python3.11"), { family: "python", version: "3.11" });
  assert.deepEqual(splitRuntime("nodejs"), { family: "nodejs" });
  assert.equal(splitRuntime("Node JS"), undefined);
  assert.equal(runtimeFamily("nodejs-24")?.name, "nodejs");
  assert.equal(runtimeFamily("ruby"), undefined);
});
