import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_POOLS, parsePoolRules, ruleOf } from "./pool-rules.ts";

function rules(text: string) {
  const parsed = parsePoolRules(text);
  assert.equal(parsed.kind, "rules", JSON.stringify(parsed));
  return parsed.kind === "rules" ? parsed.rules : NO_POOLS;
}

test("pools by runtime and size, a fixed number, and the rest", () => {
  const read = rules("nodejs:128=2..8, python:64=1,*=0..4");
  assert.deepEqual(ruleOf(read, { runtime: "nodejs", memoryMiB: 128 }), {
    min: 2,
    max: 8,
    runtime: "nodejs",
    memoryMiB: 128,
  });
  assert.deepEqual(ruleOf(read, { runtime: "python", memoryMiB: 64 }), {
    min: 1,
    max: 1,
    runtime: "python",
    memoryMiB: 64,
  });
  assert.deepEqual(ruleOf(read, { runtime: "nodejs", memoryMiB: 192 }), { min: 0, max: 4 });
  assert.deepEqual(ruleOf(rules("nodejs:128=1"), { runtime: "python", memoryMiB: 128 }), { min: 0, max: 0 });
  assert.deepEqual(rules("off"), NO_POOLS);
});

test("what is wrong is named, with what would be right", () => {
  for (const [text, message] of [
    ["on", /^"on": it takes off, or runtime:MiB=minimum\.\.maximum as in nodejs:128=2\.\.8/],
    ["nodejs:128=2..8,", /^"": it takes off/],
    ["nodejs=2..8", /^"nodejs=2\.\.8": it takes off/],
    ["nodejs:128MiB=1", /it takes off/],
    ["nodejs:100=1", /^"nodejs:100=1": sizes are multiples of 64 MiB: write 128$/],
    ["nodejs:0=1", /multiples of 64 MiB: write 64$/],
    ["nodejs:131072=1", /at most 65536 MiB$/],
    ["nodejs:128=8..2", /the minimum is above the maximum: write 2\.\.8$/],
    ["nodejs:128=0..20000", /at most 10000 sandboxes may wait$/],
    ["nodejs:128=1,nodejs:128=2", /^"nodejs:128=2": it stands there twice/],
    ["*=0..4,*=0..5", /twice/],
    ["*=1..4", /no minimum: write \*=0\.\.4$/],
  ] as const) {
    const parsed = parsePoolRules(text);
    assert.equal(parsed.kind, "wrong", text);
    assert.match(parsed.kind === "wrong" ? parsed.message : "", message);
  }
});
