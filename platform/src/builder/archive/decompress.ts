import { once } from "node:events";
import { createGunzip, type Gunzip } from "node:zlib";
import { drained } from "./drained.ts";
import type { ArchiveLimits } from "./limits.ts";
import { Refusal } from "./refusal.ts";

/** Bytes of a plain tar from a source that is one, or is a gzip of one. Throws a `Refusal`; errors of the source pass through. */
export async function* decompressed(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    const start = await readStart(iterator);
    const all = continued(start, iterator);
    yield* start[0] === 0x1f && start[1] === 0x8b ? gunzipped(all, limits) : all;
  } finally {
    await iterator.return?.();
  }
}

async function readStart(iterator: AsyncIterator<Uint8Array>): Promise<Uint8Array> {
  let start: Uint8Array = new Uint8Array(0);
  while (start.byteLength < 2) {
    const next = await iterator.next();
    if (next.done) break;
    start = start.byteLength === 0 ? next.value : Buffer.concat([start, next.value]);
  }
  return start;
}

async function* continued(
  start: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, void> {
  yield start;
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
}

async function* gunzipped(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
): AsyncGenerator<Uint8Array, void, void> {
  const gunzip = createGunzip();
  const input = { bytes: 0, tail: false };
  const feeding = feed(source, gunzip, input);
  let bytes = 0;
  try {
    for await (const chunk of gunzip) {
      bytes += chunk.byteLength;
      checkRatio(bytes, input.bytes, limits);
      yield chunk;
    }
  } catch (error) {
    throw asRefusal(error);
  }
  await feeding;
  if (input.tail || gunzip.bytesWritten !== input.bytes) {
    throw new Refusal("trailing-garbage", "The archive is refused: something follows the end of its gzip data.");
  }
}

/** Never rejects: what fails here ends the reading of `gunzip`. */
async function feed(
  source: AsyncIterable<Uint8Array>,
  gunzip: Gunzip,
  input: { bytes: number; tail: boolean },
): Promise<void> {
  const closed = once(gunzip, "close").catch(() => {});
  try {
    for await (const chunk of source) {
      input.tail = gunzip.destroyed && chunk.byteLength > 0;
      if (gunzip.destroyed) return;
      input.bytes += chunk.byteLength;
      if (!gunzip.write(chunk)) await drained(gunzip);
    }
    gunzip.end();
    await closed;
  } catch (error) {
    gunzip.destroy(error as Error);
  }
}

function checkRatio(bytesOut: number, bytesIn: number, limits: ArchiveLimits): void {
  if (bytesOut <= limits.ratioFreeBytes || bytesOut <= bytesIn * limits.maximumRatio) return;
  const ratio = `more than ${limits.maximumRatio} bytes for each of its own`;
  throw new Refusal("compression-ratio", `The archive is refused: it unpacks to ${ratio}, as only an attack does.`);
}

function asRefusal(error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === "Z_BUF_ERROR") return new Refusal("truncated", "The archive is refused: its gzip data ends too early.");
  if (code?.startsWith("Z_"))
    return new Refusal("malformed", `The archive is refused: its gzip data is damaged (${code}).`);
  return error;
}
