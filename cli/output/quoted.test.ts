import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { quoted } from "./quoted.ts";

test("a shell reads the word again, and nothing of it drives a terminal", () => {
  for (const word of ["plain", "two words", "it's", "$HOME `id`", "b\u001b[31mb", "a\nb'c\\d"]) {
    const text = quoted(word);
    assert.doesNotMatch(text, /\p{Cc}/u);
    assert.equal(execFileSync("bash", ["-c", `printf %s ${text}`], { encoding: "utf8" }), word);
  }
});
