import assert from "node:assert/strict";
import { test } from "node:test";
import { readLines } from "./lines.ts";

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array, void, void> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("lines arrive whole however they are cut, and a cut off end is left out", async () => {
  const text = '{"a":"é😀"}\n\n{"b":2}\n{"c":';
  for (const size of [1, 2, 3, 7, 100])
    assert.deepEqual(await Array.fromAsync(readLines(inPieces(text, size))), [{ a: "é😀" }, { b: 2 }]);
});

test("a line that is no JSON is named", async () => {
  await assert.rejects(Array.fromAsync(readLines(inPieces("<html>\n", 100))), {
    name: "SyntaxError",
    message: /no JSON: <html>/,
  });
});
