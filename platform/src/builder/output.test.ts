import assert from "node:assert/strict";
import { test } from "node:test";
import { createOutput } from "./output.ts";

test("output ends with a word about it when it is too much", () => {
  const lines: string[] = [];
  const output = createOutput((line) => lines.push(line), 10);
  for (const line of ["1234", "1234", "1234", "1234"]) output(line);
  assert.deepEqual(lines, ["1234", "… the rest of the output is left out"]);
});
