import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { blobsConformance } from "#ports/blobs/conformance.ts";
import { type BlobsOperation, createMemoryBlobs, type MemoryBlobsOptions } from "./driver.ts";

const now = (): number => 1_700_000_000_000;
const CONTENT = Buffer.alloc(200_000, "colibri");
const DIGEST: Digest = `sha256:${createHash("sha256").update(CONTENT).digest("hex")}`;

blobsConformance("memory", async () => {
  const blobs = createMemoryBlobs({ now });
  return {
    blobs,
    corrupt: async (tenant, digest, at) => blobs.damage(tenant, digest, at),
    strays: async () => [],
    again: () => assert.fail("blobs in memory are not durable"),
    remove: async () => {},
  };
});

async function* source(): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < CONTENT.byteLength; start += 10_000) yield CONTENT.subarray(start, start + 10_000);
}

async function opened(options: MemoryBlobsOptions) {
  const blobs = createMemoryBlobs({ now }, options);
  await blobs.open(AbortSignal.timeout(10_000));
  return { blobs, put: () => blobs.put("acme", DIGEST, source(), { maximumBytes: 1_000_000 }) };
}

test("a delayed operation goes on when the delay ends, not before", async () => {
  const gate = Promise.withResolvers<void>();
  const { blobs, put } = await opened({ delay: async (operation) => (operation === "put" ? gate.promise : undefined) });
  const putting = put();
  assert.equal(await blobs.has("acme", DIGEST), false);
  gate.resolve();
  assert.equal((await putting).kind, "stored");
});

test("an operation told to fail fails with the error given", async () => {
  let failing: BlobsOperation | undefined = "get";
  const failure = new Error("no route to the store");
  const { blobs, put } = await opened({ fail: (operation) => (operation === failing ? failure : undefined) });
  await put();
  await assert.rejects(blobs.get("acme", DIGEST), failure);
  failing = undefined;
  assert.ok(await blobs.get("acme", DIGEST));
});

test("a put that is cut off stores nothing; a get that is cut off ends in an error", async () => {
  let cut: "put" | "get" | undefined = "put";
  const { blobs, put } = await opened({ cutOff: (operation) => (operation === cut ? 150_000 : undefined) });
  const isCutOff = (error: unknown): boolean => error instanceof PlatformError && error.code === "store-unavailable";
  await assert.rejects(put(), isCutOff);
  assert.equal(await blobs.has("acme", DIGEST), false);
  cut = "get";
  await put();
  await assert.rejects(Array.fromAsync((await blobs.get("acme", DIGEST)) ?? []), isCutOff);
});
