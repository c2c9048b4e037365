import assert from "node:assert/strict";
import { test } from "node:test";
import { ShapeError } from "#contract/shape.ts";
import { AnswerHeadError, AnswerHeads } from "./answer-head.ts";

const read = (status: unknown, headers: unknown) => new AnswerHeads().read(JSON.stringify({ status, headers }));

test("headers pass, those of the connection and of the platform do not", () => {
  const head = read(201, [
    "X-A",
    "1",
    "Connection",
    "close",
    "Transfer-Encoding",
    "chunked",
    "Colibri-Error-Code",
    "x",
    "Set-Cookie",
    "a=1",
    "Set-Cookie",
    "b=2",
  ]);
  assert.deepEqual(head, {
    status: 201,
    headers: ["X-A", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=2"],
    bytes: undefined,
  });
});

test("a declared length is told apart, and believed only when it is a number", () => {
  assert.equal(read(200, ["content-length", "42"]).bytes, 42);
  assert.equal(read(200, ["content-length", "-1"]).bytes, undefined);
});

test("what would break out of the header is the user's error", () => {
  for (const headers of [
    ["X\r\nEvil", "1"],
    ["X", "a\r\nSet-Cookie: b"],
    ["", "1"],
    ["X", "caf\u0119"],
    ["X Y", "1"],
  ]) {
    assert.throws(() => read(200, headers), AnswerHeadError, JSON.stringify(headers));
  }
});

test("what is no head at all is a violation", () => {
  for (const [status, headers] of [
    [99, []],
    [1000, []],
    ["200", []],
    [200, "x"],
    [200, [1]],
  ] as const) {
    assert.throws(() => read(status, headers), ShapeError, JSON.stringify([status, headers]));
  }
});

test("the same text gives the same head, and many different ones do not pile up", () => {
  const heads = new AnswerHeads();
  const text = JSON.stringify({ status: 200, headers: ["a", "b"] });
  assert.equal(heads.read(text), heads.read(text));
  for (let index = 0; index < 1_000; index++)
    heads.read(JSON.stringify({ status: 200, headers: ["a", String(index)] }));
  assert.deepEqual(heads.read(text).headers, ["a", "b"]);
});
