import assert from "node:assert/strict";
import { test } from "node:test";
import {
  anything,
  boolean,
  integer,
  isObject,
  list,
  map,
  matching,
  nullable,
  number,
  object,
  oneOf,
  optional,
  parse,
  parseJson,
  type Shape,
  ShapeError,
  tagged,
  text,
} from "./shape.ts";

/** Accepted values, and refused ones with a part of the message. */
function holds(shape: Shape<unknown>, accepted: readonly unknown[], refused: readonly (readonly [unknown, string])[]) {
  for (const value of accepted) assert.equal(parse(shape, value, "it"), value);
  for (const [value, says] of refused)
    assert.throws(
      () => parse(shape, value, "it"),
      (error: Error) => error instanceof ShapeError && error.message.startsWith("it") && error.message.includes(says),
      String(says),
    );
}

test("leaves", () => {
  holds(
    boolean,
    [true, false],
    [
      [1, "true or false"],
      ["true", "true or false"],
      [undefined, "true or false"],
    ],
  );
  holds(anything, [undefined, null, 1, {}], []);
  holds(
    text(3),
    ["", "abc"],
    [
      ["abcd", "at most 3"],
      [3, "got 3"],
      [null, "got null"],
    ],
  );
  holds(
    integer(1, 5),
    [1, 5],
    [
      [0, "from 1 to 5"],
      [6, "from 1 to 5"],
      [1.5, "1.5"],
      ["1", '"1"'],
      [Number.NaN, "integer"],
    ],
  );
  holds(
    integer(),
    [0, Number.MAX_SAFE_INTEGER],
    [
      [-1, "-1"],
      [2 ** 53, "integer"],
    ],
  );
  holds(
    number(),
    [0, 0.5],
    [
      [-0.1, "not below 0"],
      [Number.NaN, "number"],
      [Number.POSITIVE_INFINITY, "number"],
    ],
  );
  holds(
    oneOf("a", "b"),
    ["a", "b"],
    [
      ["c", "one of a, b"],
      [undefined, "one of a, b"],
    ],
  );
  const upper = matching("upper case", (value): value is "A" => value === "A");
  holds(upper, ["A"], [["a", "upper case"]]);
});

test("optional and nullable", () => {
  holds(optional(text()), [undefined, "a"], [[null, "string"]]);
  holds(nullable(text()), [null, "a"], [[undefined, "string"]]);
});

test("lists and maps name the place and are bounded", () => {
  holds(
    list(integer(), 2),
    [[], [1, 2]],
    [
      [[1, "x"], "[1]: expected an integer"],
      [[1, 2, 3], "at most 2"],
      [{}, "a list"],
    ],
  );
  holds(
    map(integer(), 2),
    [{}, { a: 1 }],
    [
      [{ a: "x" }, ".a: expected an integer"],
      [{ a: 1, b: 2, c: 3 }, "more than 2"],
      [[], "an object"],
      [null, "an object"],
    ],
  );
});

test("objects check known fields, let unknown ones through, and say where", () => {
  const shape = object({ name: text(), inner: object({ count: integer() }), note: optional(text()) });
  holds(
    shape,
    [
      { name: "a", inner: { count: 1 } },
      { name: "a", inner: { count: 1, newer: true }, newer: 1, note: "n" },
    ],
    [
      [{ inner: { count: 1 } }, ".name: expected a string"],
      [{ name: "a", inner: { count: -1 } }, "it.inner.count: expected an integer"],
      [{ name: "a", inner: null }, ".inner: expected an object"],
      [{ name: "a", inner: { count: 1 }, note: 7 }, ".note"],
      [[], "an object"],
      ["x", "an object"],
    ],
  );
});

test("unions are told apart by their tag, and not by what every object has", () => {
  const shape = tagged("kind", { a: object({ x: integer() }), b: object({}) });
  holds(
    shape,
    [{ kind: "a", x: 1 }, { kind: "b" }],
    [
      [{ kind: "a" }, ".x: expected an integer"],
      [{ kind: "c" }, ".kind: expected one of a, b"],
      [{ kind: "toString" }, ".kind: expected one of a, b"],
      [{}, ".kind"],
      [7, "an object"],
    ],
  );
});

test("JSON that is none says so, and long values are shown in part", () => {
  assert.throws(() => parseJson(text(), "{", "it"), /^ShapeError: it: not JSON: "\{"$/);
  assert.equal(parseJson(text(), '"a"', "it"), "a");
  assert.throws(
    () => parse(text(3), "x".repeat(500), "it"),
    (error: Error) => error.message.length < 150,
  );
  assert.ok(!isObject(null) && !isObject([]) && isObject({}));
});
