import type { Digest } from "#contract/digest.ts";

/**
 * The blobs port: a content-addressed store for bundles and uploads.
 *
 * A blob is a sequence of bytes that is named by its own digest. That one idea gives the rest. A blob never changes, because
 * changed bytes have another name; so whoever holds one may keep it for ever without asking again. Storing the same bytes twice
 * is storing them once; so `put` may be repeated after a failure without harm. And whoever reads can tell on his own whether he
 * got what he asked for, so no part of the way from the disk to the reader has to be trusted.
 *
 * Every key carries the tenant. Two tenants who store the same bytes have a blob each: sharing them would tell one, by the
 * time or the answer of `put`, what the other one has.
 *
 * Writing is all or nothing. `put` reads the source to its end into a place where nobody looks, compares the digest, makes the
 * bytes durable and only then gives them their name. Whatever ends it earlier (a wrong digest, too many bytes, a source that
 * breaks, a crash) leaves no blob behind.
 *
 * Reading is verified. The stream that `get` returns computes the digest as the bytes pass and holds the last chunk back until
 * the digest is known to be right. A reader who sees the stream end has the right bytes; a damaged blob ends in an error of code
 * `blob-corrupt` instead, and then what was read so far must be thrown away. A range is verified too, which costs reading all of
 * the blob: ranges save the network, not the disk.
 *
 * Each call is independent and any number may run at once. Of two that put the same blob at the same time one may be told
 * `stored` and the other `exists`, or both `stored`.
 */
export interface Blobs {
  readonly capabilities: BlobsCapabilities;

  /** Must end before any other call. Removes what a crash has left behind. */
  open(signal: AbortSignal): Promise<void>;
  /** Works twice, and after a failed `open`. Afterwards every other call is refused. */
  close(): Promise<void>;

  has(tenant: string, digest: Digest): Promise<boolean>;
  stat(tenant: string, digest: Digest): Promise<BlobStat | undefined>;

  /**
   * Stores what `source` yields. An error that `source` throws passes through unchanged. With `exists` and `too-large` the source
   * is not read to its end: it is the caller's to dispose of.
   */
  put(tenant: string, digest: Digest, source: AsyncIterable<Uint8Array>, options: PutOptions): Promise<PutOutcome>;

  /** The blob's bytes, or undefined if there is no such blob. Nothing is held open before the first chunk is asked for. */
  get(tenant: string, digest: Digest, range?: BlobRange): Promise<AsyncIterable<Uint8Array> | undefined>;

  /** Whether there was something to delete. A reader under way may finish or fail, but never gets wrong bytes. */
  delete(tenant: string, digest: Digest): Promise<boolean>;

  /** All blobs of a tenant, in no promised order. What is put or deleted meanwhile may be listed or not. */
  list(tenant: string): AsyncIterable<BlobEntry>;
}

export interface BlobsCapabilities {
  /** Whether blobs survive `close` and a crash of the process. */
  readonly durable: boolean;
  /** Whether `put` and `delete` work: a reader beside the writing process claims false. */
  readonly writable: boolean;
}

export interface BlobStat {
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly storedAtMs: number;
}

export interface BlobEntry extends BlobStat {
  readonly digest: Digest;
}

/** Bytes from `start` up to and without `end`; what lies beyond the blob's end is left out. */
export interface BlobRange {
  readonly start: number;
  readonly end: number;
}

export interface PutOptions {
  readonly maximumBytes: number;
}

export type PutOutcome =
  | { readonly kind: "stored"; readonly bytes: number }
  | { readonly kind: "exists" }
  | { readonly kind: "digest-mismatch"; readonly actual: Digest }
  | { readonly kind: "too-large" };
