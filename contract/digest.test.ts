import assert from "node:assert/strict";
import { test } from "node:test";
import { digestHex, isDigest, parseDigest } from "./digest.ts";

const HEX = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

test("a digest is sha256: and 64 lower-case hexadecimal digits", () => {
  assert.equal(isDigest(`sha256:${HEX}`), true);
  assert.equal(parseDigest(`sha256:${HEX}`), `sha256:${HEX}`);
  assert.equal(digestHex(`sha256:${HEX}`), HEX);
});

test("anything else is not", () => {
  const wrong = [
    HEX,
    `sha512:${HEX}`,
    `sha256:${HEX.toUpperCase()}`,
    `sha256:${HEX}\n`,
    `sha256:${HEX}0`,
    "sha256:",
    7,
    null,
  ];
  for (const value of wrong) assert.equal(isDigest(value), false, String(value));
  assert.equal(parseDigest("sha256:../../etc"), undefined);
});
