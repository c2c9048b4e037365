import assert from "node:assert/strict";
import { test } from "node:test";
import { inChunks } from "./archive.fixture.ts";
import { digestStream } from "./digest.ts";

test("the digest of what passed is known at the end", async () => {
  const stream = digestStream(inChunks(Buffer.from("hello"), 2));
  assert.throws(() => stream.digest(), /read to its end/);
  assert.equal(Buffer.concat(await Array.fromAsync(stream)).toString(), "hello");
  assert.equal(stream.bytes(), 5);
  assert.equal(stream.digest(), "sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
});

test("a stream that was left early has no digest", async () => {
  const stream = digestStream(inChunks(Buffer.from("hello"), 2));
  for await (const _ of stream) break;
  assert.throws(() => stream.digest(), /read to its end/);
});
