import assert from "node:assert/strict";
import { test } from "node:test";
import { compilerOptionsOf } from "./tsconfig.ts";

test("comments and trailing commas are understood, and only compiler options taken", () => {
  const text = `\ufeff{
    // a comment with "quotes"
    "extends": "/etc/x.json", /* another, */
    "compilerOptions": { "jsx": "react-jsx", "paths": { "@/*": ["./*"], "a//b": ["x"], }, /* end */ },
  }`;
  assert.deepEqual(JSON.parse(compilerOptionsOf(text)), {
    compilerOptions: { jsx: "react-jsx", paths: { "@/*": ["./*"], "a//b": ["x"] } },
  });
  assert.equal(compilerOptionsOf(" "), "{}");
});

test("what is not JSON is refused", () => {
  assert.throws(() => compilerOptionsOf('{ "a": }'), { code: "build-failed", message: /^tsconfig.json is not JSON: / });
  assert.throws(() => compilerOptionsOf("[]"), { code: "build-failed", message: /must hold a JSON object/ });
});
