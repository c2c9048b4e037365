import assert from "node:assert/strict";
import { test } from "node:test";
import { formatMistakes } from "./mistakes.ts";

test("a mistake is shown with its line and a caret", () => {
  const text = Array.from({ length: 10 }, (_, index) => `line ${index + 1}`).join("\r\n");
  const mistakes = [
    { line: 2, column: 6, path: "a.b", message: "is wrong" },
    { line: 10, column: 1, path: "", message: "is not YAML" },
  ];
  assert.equal(
    formatMistakes(mistakes, text, "colibri.yaml"),
    [
      "colibri.yaml:2:6: a.b: is wrong",
      "   2 | line 2",
      "     |      ^",
      "",
      "colibri.yaml:10:1: is not YAML",
      "  10 | line 10",
      "     | ^",
    ].join("\n"),
  );
});

test("a long line is cut around the place", () => {
  const text = `${"x".repeat(500)}HERE${"y".repeat(500)}`;
  const shown = formatMistakes([{ line: 1, column: 501, path: "", message: "m" }], text, "f").split("\n");
  assert.ok(shown[1]!.length < 130);
  assert.equal(shown[1]!.slice(shown[2]!.indexOf("^")).slice(0, 4), "HERE");
});

test("what a terminal would obey is not passed on", () => {
  const shown = formatMistakes(
    [{ line: 1, column: 1, path: "\u001b[2J", message: "a\u202eb" }],
    "\u001b[31mred\tx",
    "f",
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
  assert.doesNotMatch(shown, /[\u0000-\u0009\u001b\u202e]/);
});
