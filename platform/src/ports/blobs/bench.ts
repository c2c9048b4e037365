import { createHash } from "node:crypto";
import type { Digest } from "#contract/digest.ts";
import type { Blobs } from "./blobs.ts";

export interface BlobsBenchDeps {
  readonly blobs: Blobs;
  /** A clock that only moves forward, in milliseconds and fractions. */
  readonly nowMs: () => number;
}

export interface BlobsBenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: "MiB/s" | "per second";
}

const MIB = 1024 * 1024;

/** Streams one large blob in and out, then many small ones; leaves the open store as it was. */
export async function benchBlobs(
  deps: BlobsBenchDeps,
  options = { largeMiB: 64, small: 200 },
): Promise<BlobsBenchRow[]> {
  const large = blobOf(0, options.largeMiB * MIB);
  const small = Array.from({ length: options.small }, (_, index) => blobOf(index + 1, 4096));
  const rates = [
    ["put, one large", "MiB/s", options.largeMiB, () => put(deps.blobs, large)],
    ["get, one large", "MiB/s", options.largeMiB, () => get(deps.blobs, large)],
    ["put, 4 KiB", "per second", options.small, () => each(small, (blob) => put(deps.blobs, blob))],
    ["get, 4 KiB", "per second", options.small, () => each(small, (blob) => get(deps.blobs, blob))],
  ] as const;
  const rows: BlobsBenchRow[] = [];
  for (const [name, unit, amount, run] of rates) {
    const startMs = deps.nowMs();
    await run();
    rows.push({ name, unit, value: (amount * 1000) / (deps.nowMs() - startMs) });
  }
  await each([large, ...small], async (blob) => void (await deps.blobs.delete(TENANT, blob.digest)));
  return rows;
}

const TENANT = "bench";

interface BenchBlob {
  readonly digest: Digest;
  readonly content: Uint8Array;
}

function blobOf(seed: number, bytes: number): BenchBlob {
  const content = new Uint8Array(bytes);
  new DataView(content.buffer).setUint32(0, seed);
  return { content, digest: `sha256:${createHash("sha256").update(content).digest("hex")}` };
}

async function put(blobs: Blobs, blob: BenchBlob): Promise<void> {
  const outcome = await blobs.put(TENANT, blob.digest, chunks(blob.content), { maximumBytes: blob.content.byteLength });
  if (outcome.kind !== "stored") throw new Error(`The bench needs an empty store: put said ${outcome.kind}.`);
}

async function get(blobs: Blobs, blob: BenchBlob): Promise<void> {
  let bytes = 0;
  for await (const chunk of (await blobs.get(TENANT, blob.digest)) ?? []) bytes += chunk.byteLength;
  if (bytes !== blob.content.byteLength) throw new Error(`Got ${bytes} of ${blob.content.byteLength} bytes.`);
}

async function each<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  for (const item of items) await run(item);
}

async function* chunks(content: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.byteLength; start += size) yield content.subarray(start, start + size);
}
