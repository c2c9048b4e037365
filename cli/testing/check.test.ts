import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import type { Expectation } from "./case.ts";
import { type CaseAnswer, checkAnswer, differences } from "./check.ts";

const ANY: Expectation = {
  ...{ status: undefined, error: undefined, headers: {}, json: undefined, contains: undefined },
  ...{ text: undefined, matches: undefined, file: undefined, sha256: undefined, maxMs: undefined },
};

function check(expect: Partial<Expectation>, answer: Partial<CaseAnswer> = {}, file?: string): string[] {
  const whole: CaseAnswer = { status: 200, headers: {}, body: Buffer.alloc(0), tookMs: 5, ...answer };
  return checkAnswer({ ...ANY, ...expect }, whole, file === undefined ? undefined : Buffer.from(file));
}
const json = (value: unknown): Partial<CaseAnswer> => ({ body: Buffer.from(JSON.stringify(value)) });

describe("an answer", () => {
  test("of which nothing is expected may be anything below 400", () => {
    assert.deepEqual(check({}), []);
    assert.deepEqual(check({}, { status: 399 }), []);
    const headers = { "colibri-error-code": "function-error", "colibri-error-message": "oops" };
    assert.deepEqual(check({}, { status: 500, headers }), [
      "status: expected less than 400, got 500 (function-error: oops)",
    ]);
    assert.deepEqual(check({ error: "function-error" }, { status: 500, headers }), []);
    assert.deepEqual(check({ error: "bad-input" }, { status: 500, headers }), [
      "error: expected bad-input, got function-error",
    ]);
    assert.deepEqual(check({ error: "bad-input" }), ["error: expected bad-input, got none, status 200"]);
    assert.deepEqual(check({ status: 404 }), ["status: expected 404, got 200"]);
  });

  test("has the headers that are expected, as text or by a pattern", () => {
    const headers = { "content-type": "text/csv; charset=utf-8" };
    assert.deepEqual(check({ headers: { "content-type": "text/csv; charset=utf-8" } }, { headers }), []);
    assert.deepEqual(check({ headers: { "content-type": /^text\/csv/u } }, { headers }), []);
    assert.deepEqual(check({ headers: { "content-type": /json/u, etag: /1/u } }, { headers }), [
      "header content-type: expected /json/, got text/csv; charset=utf-8",
      "header etag: expected /1/, got none",
    ]);
    assert.deepEqual(check({ headers: { "content-type": "text/csv", etag: "1" } }, { headers }), [
      "header content-type: expected text/csv, got text/csv; charset=utf-8",
      "header etag: expected 1, got none",
    ]);
  });

  test("is the text, fits the pattern, is the file, has the digest", () => {
    const body = Buffer.from("some text");
    const sha256 = createHash("sha256").update(body).digest("hex");
    assert.deepEqual(check({ text: "some text", matches: /^some/, file: "f", sha256 }, { body }, "some text"), []);
    assert.equal(check({ text: "other" }, { body })[0], 'text: expected "other", got "some text"');
    assert.equal(check({ matches: /^text/ }, { body })[0], 'matches: ^text does not match "some text"');
    assert.match(check({ file: "f" }, { body }, "some more")[0]!, /^file: .* is not f .* they differ from byte 5 on$/);
    assert.match(check({ file: "f" }, { body }, "some")[0]!, /from byte 4 on$/);
    assert.match(
      check({ sha256: "0".repeat(64) }, { body })[0]!,
      /^sha256: expected 0+, got [0-9a-f]{64} \(9 bytes\)$/,
    );
  });

  test("can't hold the check up with a pattern that takes for ever", () => {
    const bomb = /^(a+)+$/su;
    const text = `${"a".repeat(60)}b`;
    assert.match(
      check({ matches: bomb }, { body: Buffer.from(text) })[0]!,
      /^matches: \^\(a\+\)\+\$ was given up after 1 s on "aaa/,
    );
    assert.match(check({ headers: { x: bomb } }, { headers: { x: text } })[0]!, /^header x: .* was given up after 1 s/);
  });

  test("comes in time", () => {
    assert.deepEqual(check({ maxMs: 5 }), []);
    assert.deepEqual(check({ maxMs: 4 }), ["maxMs: expected at most 4 ms, took 5.0 ms"]);
  });

  test("is JSON where JSON is expected, and every difference has its place", () => {
    assert.deepEqual(check({ json: { value: { a: [1, { b: null }] } } }, json({ a: [1, { b: null }] })), []);
    assert.deepEqual(check({ json: { value: 1 } }, { body: Buffer.from("<p>") }), [
      'json: the answer is not JSON: "<p>"',
    ]);
    const wanted = { a: [1, { b: null }], "odd key": 1, gone: "x" };
    assert.deepEqual(check({ json: { value: wanted } }, json({ a: [2, { b: 0 }, 3], "odd key": 2, more: true })), [
      [
        "json:",
        "  .a: expected 2 items, got 3",
        "  .a[0]: expected 1, got 2",
        "  .a[1].b: expected null, got 0",
        '  ["odd key"]: expected 1, got 2',
        '  .gone: expected "x", is not there',
        "  .more: is true, and was not expected",
      ].join("\n"),
    ]);
    const many = Array.from({ length: 20 }, (_, index) => index);
    assert.match(check({ json: { value: many } }, json(many.map((item) => -1 - item)))[0]!, /\n {2}and 8 more$/);
  });

  test("contains what is expected: of maps some keys, of lists all items", () => {
    const got = { a: { b: 1, c: 2 }, list: [{ x: 1, y: 2 }] };
    assert.deepEqual(differences({ a: { b: 1 }, list: [{ x: 1 }] }, got, "", "contained"), []);
    assert.deepEqual(differences({ a: { d: 1 } }, got, "", "contained"), [".a.d: expected 1, is not there"]);
    assert.deepEqual(differences({ list: [] }, got, "", "contained"), [".list: expected 0 items, got 1"]);
    assert.deepEqual(differences({ a: [] }, got, "", "contained"), ['.a: expected [], got {"b":1,"c":2}']);
    assert.equal(differences({ constructor: 1 }, got, "", "contained").length, 1);
  });
});
