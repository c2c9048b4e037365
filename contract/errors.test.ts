import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { KEYS } from "./config/keys.ts";
import { ERRORS, isErrorCode, PlatformError, toFailure } from "./errors.ts";
import { renderErrors } from "./errors-page.ts";

test("docs/errors.md says what the catalogue says", () => {
  const page = readFileSync(new URL("../docs/errors.md", import.meta.url), "utf8");
  assert.equal(page, renderErrors(), "run: node bin/colibri node tools/write-errors-page.ts");
});

test("every code is written in lower case with hyphens, and every text is a sentence", () => {
  for (const [code, definition] of Object.entries(ERRORS)) {
    assert.match(code, /^[a-z]+(-[a-z]+)*$/);
    for (const text of [definition.meaning, definition.remedy]) assert.match(text, /^.+[.]$/, `${code}: ${text}`);
    assert.ok(definition.status >= 400 && definition.status < 600, code);
  }
});

test("what is written like a key is one of colibri.yaml", () => {
  const keys = new Set(KEYS.map(({ path }): string => path.replace("functions.*.", "")));
  const named = Object.values(ERRORS).flatMap(
    ({ meaning, remedy }) => `${meaning} ${remedy}`.match(/(?<=`)[a-zA-Z.]+(?=`)/g) ?? [],
  );
  const others = ["init"]; // an export
  assert.ok(named.length > 5);
  assert.deepEqual(
    named.filter((name) => /^[a-z]/.test(name) && !keys.has(name) && !others.includes(name)),
    [],
  );
});

test("a failure keeps the code of a PlatformError and calls anything else internal", () => {
  assert.deepEqual(toFailure(new PlatformError("no-capacity", "full")), { code: "no-capacity", message: "full" });
  assert.deepEqual(toFailure(new Error("oops")), { code: "internal", message: "oops" });
  assert.deepEqual(toFailure("text"), { code: "internal", message: "text" });
});

test("names that every object has are no codes", () => {
  assert.equal(isErrorCode("toString"), false);
  assert.equal(isErrorCode("no-capacity"), true);
});
