import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  type BlobEntry,
  type BlobRange,
  type BlobStat,
  type Blobs,
  checkKey,
  checkRange,
  checkTenant,
  type PutOptions,
  type PutOutcome,
  receive,
  verified,
} from "#ports/blobs/index.ts";

/**
 * Blobs in memory, for tests and simulation.
 * Owns the bytes; they go with `close`. Does not own time: `now` and the faults come from outside.
 * Invariant: a blob enters the map whole and with the right digest; only `damage` breaks that, on purpose.
 */
export interface MemoryBlobs extends Blobs {
  /** Flips one bit of a stored blob, as a failing disk would. */
  damage(tenant: string, digest: Digest, at: number): void;
}

export interface MemoryBlobsDeps {
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export type BlobsOperation = "open" | "has" | "stat" | "put" | "get" | "delete" | "list";

/** What goes wrong. Each is asked anew at every operation. */
export interface MemoryBlobsOptions {
  /** The operation goes on when this resolves. */
  readonly delay?: (operation: BlobsOperation) => Promise<void>;
  /** The operation fails with what this returns. */
  readonly fail?: (operation: BlobsOperation) => Error | undefined;
  /** After so many bytes the stream of a `put` or `get` breaks. */
  readonly cutOff?: (operation: "put" | "get") => number | undefined;
}

interface StoredBlob {
  readonly content: Uint8Array<ArrayBuffer>;
  readonly storedAtMs: number;
}

const CHUNK_BYTES = 64 * 1024;

export function createMemoryBlobs(deps: MemoryBlobsDeps, options: MemoryBlobsOptions = {}): MemoryBlobs {
  return new MemoryDriver(deps, options);
}

class MemoryDriver implements MemoryBlobs {
  readonly capabilities = { durable: false, writable: true };
  readonly #now: () => number;
  readonly #faults: MemoryBlobsOptions;
  readonly #tenants = new Map<string, Map<Digest, StoredBlob>>();
  #opened = false;

  constructor(deps: MemoryBlobsDeps, options: MemoryBlobsOptions) {
    this.#now = deps.now;
    this.#faults = options;
  }

  async open(signal: AbortSignal): Promise<void> {
    await this.#suffer("open");
    signal.throwIfAborted();
    this.#opened = true;
  }

  async close(): Promise<void> {
    this.#opened = false;
    this.#tenants.clear();
  }

  async has(tenant: string, digest: Digest): Promise<boolean> {
    return (await this.#find("has", tenant, digest)) !== undefined;
  }

  async stat(tenant: string, digest: Digest): Promise<BlobStat | undefined> {
    const blob = await this.#find("stat", tenant, digest);
    return blob && { bytes: blob.content.byteLength, storedAtMs: blob.storedAtMs };
  }

  async put(
    tenant: string,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<PutOutcome> {
    if (await this.#find("put", tenant, digest)) return { kind: "exists" };
    const chunks: Uint8Array[] = [];
    const cut = cutOff(source, this.#faults.cutOff?.("put"));
    const received = await receive(cut, digest, options.maximumBytes, (chunk) => void chunks.push(chunk.slice()));
    if (received.kind !== "received") return received;
    this.#requireOpen();
    const ofTenant = this.#tenants.get(tenant) ?? new Map<Digest, StoredBlob>();
    this.#tenants.set(tenant, ofTenant.set(digest, { content: join(chunks), storedAtMs: this.#now() }));
    return { kind: "stored", bytes: received.bytes };
  }

  async get(tenant: string, digest: Digest, range?: BlobRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    checkRange(range);
    const blob = await this.#find("get", tenant, digest);
    return blob && verified(cutOff(chunksOf(blob.content), this.#faults.cutOff?.("get")), tenant, digest, range);
  }

  async delete(tenant: string, digest: Digest): Promise<boolean> {
    await this.#find("delete", tenant, digest);
    return this.#tenants.get(tenant)?.delete(digest) ?? false;
  }

  async *list(tenant: string): AsyncGenerator<BlobEntry, void, void> {
    this.#requireOpen();
    checkTenant(tenant);
    await this.#suffer("list");
    for (const [digest, { content, storedAtMs }] of [...(this.#tenants.get(tenant) ?? [])]) {
      yield { digest, bytes: content.byteLength, storedAtMs };
    }
  }

  damage(tenant: string, digest: Digest, at: number): void {
    const content = this.#tenants.get(tenant)?.get(digest)?.content;
    if (content?.[at] === undefined) throw new RangeError(`The blob ${digest} of ${tenant} has no byte ${at}.`);
    content[at] ^= 1;
  }

  async #find(operation: BlobsOperation, tenant: string, digest: Digest): Promise<StoredBlob | undefined> {
    this.#requireOpen();
    checkKey(tenant, digest);
    await this.#suffer(operation);
    return this.#tenants.get(tenant)?.get(digest);
  }

  async #suffer(operation: BlobsOperation): Promise<void> {
    await this.#faults.delay?.(operation);
    const failure = this.#faults.fail?.(operation);
    if (failure !== undefined) throw failure;
  }

  #requireOpen(): void {
    if (!this.#opened) throw new PlatformError("store-unavailable", "The blobs in memory are not open.");
  }
}

async function* chunksOf(content: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  for (let start = 0; start < content.byteLength; start += CHUNK_BYTES) yield content.slice(start, start + CHUNK_BYTES);
}

async function* cutOff(
  source: AsyncIterable<Uint8Array>,
  afterBytes = Number.POSITIVE_INFINITY,
): AsyncGenerator<Uint8Array> {
  let left = afterBytes;
  for await (const chunk of source) {
    if (chunk.byteLength > left) {
      yield chunk.subarray(0, left);
      throw new PlatformError("store-unavailable", `The stream was cut off after ${afterBytes} bytes.`);
    }
    left -= chunk.byteLength;
    yield chunk;
  }
}

function join(chunks: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(chunks.reduce((bytes, chunk) => bytes + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return whole;
}
