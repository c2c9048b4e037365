import { createHash } from "node:crypto";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import type { BlobRange, PutOutcome } from "./blobs.ts";

export type Received =
  | { readonly kind: "received"; readonly bytes: number }
  | Extract<PutOutcome, { kind: "digest-mismatch" | "too-large" }>;

/** The half of `put` that every driver shares: hands chunk after chunk to `write` and judges what came. */
export async function receive(
  source: AsyncIterable<Uint8Array>,
  digest: Digest,
  maximumBytes: number,
  write: (chunk: Uint8Array) => Promise<void> | void,
): Promise<Received> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.byteLength;
    if (bytes > maximumBytes) return { kind: "too-large" };
    hash.update(chunk);
    await write(chunk);
  }
  const actual: Digest = `sha256:${hash.digest("hex")}`;
  return actual === digest ? { kind: "received", bytes } : { kind: "digest-mismatch", actual };
}

/** The half of `get` that every driver shares: all of a blob goes in, the wanted range comes out, its last chunk once the digest is right. */
export async function* verified(
  whole: AsyncIterable<Uint8Array>,
  tenant: string,
  digest: Digest,
  range: BlobRange | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash("sha256");
  let offset = 0;
  let held: Uint8Array | undefined;
  for await (const chunk of whole) {
    hash.update(chunk);
    const wanted = overlap(chunk, offset, range);
    offset += chunk.byteLength;
    if (wanted.byteLength === 0) continue;
    if (held !== undefined) yield held;
    held = wanted;
  }
  const actual = `sha256:${hash.digest("hex")}`;
  if (actual !== digest) throw corrupt(tenant, digest, actual, offset);
  if (held !== undefined) yield held;
}

function overlap(chunk: Uint8Array, offset: number, range: BlobRange | undefined): Uint8Array {
  if (range === undefined) return chunk;
  const start = Math.max(range.start - offset, 0);
  const end = Math.max(range.end - offset, 0);
  return chunk.subarray(start, end);
}

function corrupt(tenant: string, digest: Digest, actual: string, bytes: number): PlatformError {
  return new PlatformError(
    "blob-corrupt",
    `The blob ${digest} of tenant ${tenant} is damaged: its ${bytes} bytes have the digest ${actual}. Delete it and store it again.`,
    { details: { tenant, digest, actual, bytes } },
  );
}
