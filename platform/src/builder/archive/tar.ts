import { type Extract, extract } from "tar-stream";
import { assert } from "#base/assert.ts";
import type { EntryHead } from "./admission.ts";
import { drained } from "./drained.ts";
import type { ArchiveLimits } from "./limits.ts";
import { Refusal, refuse } from "./refusal.ts";

/**
 * Reads a tar as a sequence of entries, over tar-stream.
 * Owns the extractor, and accounts for every byte that tar-stream passes over in silence: what lies between the entries and
 * after the last. Does not judge the entries.
 * Invariants:
 * 1. Every failure of tar-stream becomes a `Refusal`; errors of the source pass through as they are.
 * 2. No more than `SLACK_BYTES` are fed beyond the end of the newest entry, so headers that lead to no entry stay small.
 */
export interface TarEntry {
  readonly head: EntryHead;
  /** Must be read to its end before the next entry is asked for, if `head.size` is not 0. */
  readonly content: AsyncIterable<Uint8Array>;
}

const BLOCK_BYTES = 512;
const END_BYTES = 2 * BLOCK_BYTES;
const PIECE_BYTES = 64 * 1024;
const SLACK_BYTES = 512 * 1024;
/** A name or link of more bytes than this is kept in a header of its own. */
const HEADER_NAME_BYTES = 99;
/** Generous for an entry's header, its long name and its padding. */
const OVERHEAD_BYTES = 2048;

export function readTar(
  source: AsyncIterable<Uint8Array>,
  limits: ArchiveLimits,
  signal?: AbortSignal,
): AsyncGenerator<TarEntry> {
  return new TarReader(limits).read(source, signal);
}

type Source = Extract extends AsyncIterable<infer S> ? S : never;

class TarReader {
  readonly #extractor = extract();
  readonly #maximumBytes: number;
  #fedBytes = 0;
  /** Where the last byte that is not zero ends. */
  #dataEnd = 0;
  /** Where the newest entry ends, its padding included. */
  #entryEnd = 0;
  #fedAll = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(limits: ArchiveLimits) {
    this.#maximumBytes = limits.maximumBytes + limits.maximumEntries * OVERHEAD_BYTES + SLACK_BYTES;
  }

  async *read(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<TarEntry, void, void> {
    const entries = this.#extractor[Symbol.asyncIterator]();
    const abort = (): void => this.#fail(signal?.reason);
    signal?.addEventListener("abort", abort);
    void this.#feed(source);
    try {
      for (let next = await this.#next(entries); next !== undefined; next = await this.#next(entries)) {
        yield { head: this.#headOf(next), content: this.#contentOf(next) };
      }
      this.#checkEnd();
    } finally {
      signal?.removeEventListener("abort", abort);
      await entries.return?.();
    }
  }

  /** Never rejects: what fails here ends the reading. */
  async #feed(source: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      for await (const chunk of source) {
        for (let start = 0; start < chunk.byteLength; start += PIECE_BYTES) {
          if (this.#extractor.destroying) return;
          await this.#write(chunk.subarray(start, start + PIECE_BYTES));
        }
      }
      this.#fedAll = true;
      this.#extractor.end(null);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #write(piece: Uint8Array): Promise<void> {
    const last = piece.findLastIndex((byte) => byte !== 0);
    if (last !== -1) this.#dataEnd = this.#fedBytes + last + 1;
    this.#fedBytes += piece.byteLength;
    this.#checkFed();
    if (!this.#extractor.write(piece)) await drained(this.#extractor);
  }

  #checkFed(): void {
    if (this.#fedBytes > this.#maximumBytes)
      throw new Refusal("too-many-bytes", "The archive is refused: it is too long.");
    if (this.#fedBytes <= this.#entryEnd + SLACK_BYTES) return;
    throw new Refusal("malformed", `The archive is refused: more than ${SLACK_BYTES} bytes in it belong to no entry.`);
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
    this.#extractor.destroy(new Error("The reading of the archive was ended."));
  }

  async #next(entries: AsyncIterator<Source>): Promise<Source | undefined> {
    try {
      const next = await entries.next();
      if (this.#failure === undefined) return next.done ? undefined : next.value;
    } catch (error) {
      throw this.#explain(error);
    }
    throw this.#failure.error;
  }

  async *#contentOf(entry: Source): AsyncGenerator<Uint8Array, void, void> {
    let bytes = 0;
    try {
      for await (const chunk of entry as AsyncIterable<Uint8Array>) {
        bytes += chunk.byteLength;
        yield chunk;
      }
    } catch (error) {
      throw this.#explain(error);
    }
    // Whatever tar-stream does when it is destroyed, a short file must not pass for a whole one.
    assert(bytes === entry.header.size, "tar-stream ended a file early");
  }

  #explain(error: unknown): unknown {
    if (this.#failure !== undefined) return this.#failure.error;
    const message = error instanceof Error ? error.message : String(error);
    const short = this.#fedAll && this.#fedBytes < this.#entryEnd;
    if (short || message === "Unexpected end of data")
      return new Refusal("truncated", "The archive is refused: it ends too early.");
    return new Refusal("malformed", `The archive is refused: it is damaged or something follows its end (${message})`);
  }

  #headOf({ header }: Source): EntryHead {
    const { byteOffset } = header as typeof header & { byteOffset: number };
    const linkname: string | null = header.linkname;
    const head = { ...header, linkname, pax: (header.pax ?? null) as EntryHead["pax"] };
    // tar-stream waits for ever for a file whose size it could not read.
    if (!Number.isSafeInteger(head.size)) refuse(head.name, "malformed", "its size is no number");
    const gap = byteOffset - BLOCK_BYTES - this.#entryEnd;
    if (this.#entryEnd > 0 && gap > 0 && !hasLongHeader(head)) {
      throw new Refusal("trailing-garbage", `The archive is refused: ${JSON.stringify(head.name)} follows its end.`);
    }
    this.#entryEnd = byteOffset + Math.ceil(head.size / BLOCK_BYTES) * BLOCK_BYTES;
    return head;
  }

  #checkEnd(): void {
    if (this.#dataEnd > this.#entryEnd) {
      throw new Refusal("trailing-garbage", "The archive is refused: something follows its last entry.");
    }
    if (this.#fedBytes >= this.#entryEnd + END_BYTES) return;
    throw new Refusal("truncated", "The archive is refused: it ends too early, without the mark that ends an archive.");
  }
}

function hasLongHeader(head: EntryHead): boolean {
  const longest = Math.max(Buffer.byteLength(head.name), Buffer.byteLength(head.linkname ?? ""));
  return head.pax !== null || longest > HEADER_NAME_BYTES;
}
