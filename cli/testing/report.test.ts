import assert from "node:assert/strict";
import { test } from "node:test";
import { type Case, NO_REQUEST } from "./case.ts";
import { describeResults, renderJunit, renderResult, renderSummary } from "./report.ts";
import type { CaseResult } from "./runner.ts";

const EXPECT: Case["expect"] = {
  ...{ status: 200, error: undefined, headers: {}, json: undefined, contains: undefined },
  ...{ text: undefined, matches: undefined, file: undefined, sha256: undefined, maxMs: undefined },
};
const of = (fn: string, name: string, skip?: string): Case => ({
  ...{ function: fn, name, line: 3, skip, request: NO_REQUEST, expect: EXPECT },
});
const RESULTS: readonly CaseResult[] = [
  { case: of("hello", "works"), outcome: "passed", tookMs: 12.34, problems: [], invocation: "A" },
  {
    ...{ case: of("hello", 'a < b & "c"'), outcome: "failed", tookMs: 1_500 },
    ...{ problems: ["status: expected 200, got 500\u0007", "json:\n  .a: expected 1, got 2"], invocation: "B" },
  },
  { case: of("greet", "later", "not yet"), outcome: "skipped", tookMs: 0, problems: [], invocation: undefined },
];
const plain = (_colour: string, text: string) => text;

test("a name does not drive the terminal, and stays on its line", () => {
  const result = { ...RESULTS[0]!, case: of("hello", "c\u001b[31m\n::error::x\u0007") };
  assert.equal(renderResult(result, [], plain), "  ✓ c ::error::x?  12ms\n");
});

test("people read names, times, what is wrong and what was logged", () => {
  const [passed, failed, skipped] = RESULTS.map((result) => renderResult(result, ["one\ntwo\n"], plain));
  assert.equal(passed, "  ✓ works  12ms\n");
  assert.equal(
    failed?.replace("\u0007", ""),
    `  ✗ a < b & "c"  1.5s
      status: expected 200, got 500
      json:
        .a: expected 1, got 2
      log:
        one
        two
`,
  );
  assert.equal(skipped, "  - later  skipped: not yet\n");
  assert.equal(renderSummary(RESULTS, 2_000, plain), "\n1 passed, 1 failed, 1 skipped in 2s\n");
});

test("programs read JSON, and build servers JUnit's XML", () => {
  assert.deepEqual(
    describeResults(RESULTS).map(({ name, outcome }) => [name, outcome]),
    [
      ["works", "passed"],
      ['a < b & "c"', "failed"],
      ["later", "skipped"],
    ],
  );
  assert.equal(
    renderJunit("shop", RESULTS),
    `<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="shop/hello" tests="2" failures="1" skipped="0" time="1.512">
    <testcase classname="shop/hello" name="works" time="0.012"/>
    <testcase classname="shop/hello" name="a &#60; b &#38; &#34;c&#34;" time="1.500"><failure message="status: expected 200, got 500?">status: expected 200, got 500?&#10;json:&#10;  .a: expected 1, got 2</failure></testcase>
  </testsuite>
  <testsuite name="shop/greet" tests="1" failures="0" skipped="1" time="0.000">
    <testcase classname="shop/greet" name="later" time="0.000"><skipped message="not yet"/></testcase>
  </testsuite>
</testsuites>
`,
  );
});
