import assert from "node:assert/strict";
import { test } from "node:test";
import type { FunctionConfig } from "#contract/api/resources.ts";
import { checkConfig } from "./check.ts";

const CONFIG: FunctionConfig = {
  runtime: "python",
  handler: "handler.py",
  memoryMiB: 128,
  timeoutMs: 30_000,
  initTimeoutMs: 10_000,
  concurrency: 20,
  execution: "threads",
  environment: { A: "1" },
  build: { installScripts: [] },
  policy: {
    scaling: { min: 1, max: 1, keepAliveMs: 0 },
    queue: { length: 0, timeoutMs: 1 },
    limits: { bodyBytes: 0 },
    triggers: [{ http: "GET /x" }, { timer: "0 4 * * mon" }],
  },
};

function wrong(changed: Partial<FunctionConfig>): string[] {
  return checkConfig({ ...CONFIG, ...changed }).map(({ path, message }) => `${path}: ${message}`);
}

test("a configuration that is right has no problem", () => {
  assert.deepEqual(wrong({}), []);
});

test("handler and execution must be the runtime's", () => {
  assert.match(wrong({ handler: "index.mjs" }).join(), /^handler: is no file of python/);
  assert.match(wrong({ handler: "../x.py" }).join(), /^handler: must lie inside/);
  assert.deepEqual(wrong({ execution: "process" }), []);
  const node = { runtime: "nodejs", handler: "index.mjs", execution: "threads" } as const;
  assert.match(wrong(node).join(), /^execution: .*use one of loop, process/);
});

test("an environment has names, no NULs, and bounds that count escapes", () => {
  const environment = { "A-B": "1", COLIBRI_X: "1", NUL: "\0" };
  assert.deepEqual(
    wrong({ environment }).map((one) => one.split(":")[0]),
    ["environment.A-B", "environment.COLIBRI_X", "environment.NUL"],
  );
  const escaped = { A: "\u0001".repeat(100_000) };
  assert.match(wrong({ environment: escaped }).join(), /environment: has 600\d\d\d bytes as JSON; 524288 is the most/);
  const many = Object.fromEntries(Array.from({ length: 1_001 }, (_, index) => [`V${index}`, ""]));
  assert.match(wrong({ environment: many }).join(), /1001 variables; 1000 is the most/);
});

test("scaling and triggers are named with their place", () => {
  const policy = {
    ...CONFIG.policy,
    scaling: { min: 2, max: 1, keepAliveMs: 0 },
    triggers: [{ http: "GET /x" }, { http: "GET /v1/mine" }, { timer: "* *" }],
  };
  assert.deepEqual(
    wrong({ policy }).map((one) => one.split(":")[0]),
    ["policy.scaling", "policy.triggers[1]", "policy.triggers[2]"],
  );
});

test("a time to freeze that no sandbox lives to see is refused", () => {
  const scaling = (min: number, keepAliveMs: number, freezeAfterMs: number) =>
    wrong({ policy: { ...CONFIG.policy, scaling: { min, max: 1, keepAliveMs, freezeAfterMs } } }).join();
  assert.match(scaling(0, 5_000, 5_000), /^policy\.scaling\.freezeAfterMs: must be less than keepAlive \(5s\)/);
  assert.equal(scaling(0, 5_001, 5_000), "");
  assert.equal(scaling(1, 0, 5_000), "");
});
