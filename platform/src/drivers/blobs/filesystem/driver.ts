import { constants, type Dir, type Stats } from "node:fs";
import { type FileHandle, mkdir, open, opendir, readdir, rename, rm, stat, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Digest, digestHex, parseDigest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  type BlobEntry,
  type BlobRange,
  type BlobStat,
  type Blobs,
  type BlobsCapabilities,
  checkKey,
  checkRange,
  checkTenant,
  type PutOptions,
  type PutOutcome,
  type Received,
  receive,
  verified,
} from "#ports/blobs/index.ts";

/**
 * Blobs as files: `<root>/tenants/<tenant>/<first two digits>/<all digits>`, and `<root>/incoming/` for those under way.
 * Owns everything below `root`. One process writes; others may read beside it with `readOnly`.
 * Invariants:
 * 1. A file below `tenants/` was written to its end, had the right digest and was on disk before it got its name.
 * 2. `incoming/` holds only what a `put` of this process is writing: `open` removes the rest.
 * 3. A tenant and a digest are checked before they become part of a path.
 */
export interface FilesystemBlobsOptions {
  /** Made if missing, in an existing folder. */
  readonly root: string;
  readonly readOnly?: boolean;
}

const CHUNK_BYTES = 64 * 1024;

export function createFilesystemBlobs(options: FilesystemBlobsOptions): Blobs {
  return new FilesystemDriver(options);
}

class FilesystemDriver implements Blobs {
  readonly capabilities: BlobsCapabilities;
  readonly #root: string;
  readonly #tenants: string;
  readonly #incoming: string;
  #opened = false;
  #puts = 0;

  constructor(options: FilesystemBlobsOptions) {
    this.capabilities = { durable: true, writable: options.readOnly !== true };
    this.#root = options.root;
    this.#tenants = join(options.root, "tenants");
    this.#incoming = join(options.root, "incoming");
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.capabilities.writable) await onDisk(`prepare ${this.#root}`, () => this.#prepare());
    signal.throwIfAborted();
    this.#opened = true;
  }

  async close(): Promise<void> {
    this.#opened = false;
  }

  async has(tenant: string, digest: Digest): Promise<boolean> {
    return (await this.stat(tenant, digest)) !== undefined;
  }

  async stat(tenant: string, digest: Digest): Promise<BlobStat | undefined> {
    const path = this.#path(tenant, digest);
    const found = await onDisk(`stat ${path}`, () => orUndefined(stat(path)));
    return found && statOf(found);
  }

  async put(
    tenant: string,
    digest: Digest,
    source: AsyncIterable<Uint8Array>,
    options: PutOptions,
  ): Promise<PutOutcome> {
    const path = this.#path(tenant, digest);
    this.#requireWritable();
    if (await this.has(tenant, digest)) return { kind: "exists" };
    const aside = join(this.#incoming, String(this.#puts++));
    try {
      const received = await writeAside(aside, source, digest, options.maximumBytes);
      if (received.kind !== "received") return received;
      this.#requireOpen();
      await onDisk(`store ${path}`, () => this.#publish(aside, path));
      return { kind: "stored", bytes: received.bytes };
    } finally {
      await onDisk(`remove ${aside}`, () => rm(aside, { force: true }));
    }
  }

  async get(tenant: string, digest: Digest, range?: BlobRange): Promise<AsyncIterable<Uint8Array> | undefined> {
    checkRange(range);
    if (!(await this.has(tenant, digest))) return undefined;
    return verified(chunksOf(this.#path(tenant, digest)), tenant, digest, range);
  }

  async delete(tenant: string, digest: Digest): Promise<boolean> {
    const path = this.#path(tenant, digest);
    this.#requireWritable();
    return onDisk(`delete ${path}`, async () => {
      const removed = await orUndefined(unlink(path).then(() => true));
      if (removed) await syncFolder(dirname(path));
      return removed ?? false;
    });
  }

  async *list(tenant: string): AsyncGenerator<BlobEntry, void, void> {
    this.#requireOpen();
    checkTenant(tenant);
    const folder = join(this.#tenants, tenant);
    for (const shard of await onDisk(`list ${folder}`, async () => (await orUndefined(readdir(folder))) ?? [])) {
      const blobs = await onDisk(`list ${folder}/${shard}`, () => orUndefined(opendir(join(folder, shard))));
      yield* this.#listShard(tenant, blobs);
    }
  }

  async *#listShard(tenant: string, shard: Dir | undefined): AsyncGenerator<BlobEntry, void, void> {
    for await (const { name } of shard ?? []) {
      const digest = parseDigest(`sha256:${name}`);
      const found = digest && (await this.stat(tenant, digest));
      if (found) yield { digest, ...found };
    }
  }

  async #prepare(): Promise<void> {
    await makeFolder(this.#root);
    await rm(this.#incoming, { recursive: true, force: true });
    await makeFolder(this.#incoming);
    await makeFolder(this.#tenants);
  }

  /** The folders on the way are synced too: a file is only as durable as the names that lead to it. */
  async #publish(aside: string, path: string): Promise<void> {
    await makeFolder(dirname(dirname(path)));
    await makeFolder(dirname(path));
    await rename(aside, path);
    await syncFolder(dirname(path));
  }

  #path(tenant: string, digest: Digest): string {
    this.#requireOpen();
    checkKey(tenant, digest);
    const hex = digestHex(digest);
    return join(this.#tenants, tenant, hex.slice(0, 2), hex);
  }

  #requireOpen(): void {
    if (!this.#opened) throw new PlatformError("store-unavailable", `The blobs in ${this.#root} are not open.`);
  }

  #requireWritable(): void {
    if (this.capabilities.writable) return;
    throw new PlatformError("store-unavailable", `The blobs in ${this.#root} were opened to be read only.`);
  }
}

async function writeAside(
  aside: string,
  source: AsyncIterable<Uint8Array>,
  digest: Digest,
  maximumBytes: number,
): Promise<Received> {
  const file = await onDisk(`create ${aside}`, () => open(aside, "wx"));
  try {
    const write = (chunk: Uint8Array): Promise<void> => onDisk(`write ${aside}`, () => file.appendFile(chunk));
    const received = await receive(source, digest, maximumBytes, write);
    if (received.kind === "received") await onDisk(`sync ${aside}`, () => file.sync());
    return received;
  } finally {
    await file.close();
  }
}

async function* chunksOf(path: string): AsyncGenerator<Uint8Array, void, void> {
  const file = await onDisk(`open ${path}`, () => open(path, constants.O_RDONLY | constants.O_NOFOLLOW));
  try {
    for (let chunk = await readChunk(file, path); chunk.byteLength > 0; chunk = await readChunk(file, path))
      yield chunk;
  } finally {
    await file.close();
  }
}

async function readChunk(file: FileHandle, path: string): Promise<Uint8Array> {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const { bytesRead } = await onDisk(`read ${path}`, () => file.read(buffer, 0, CHUNK_BYTES));
  return buffer.subarray(0, bytesRead);
}

async function makeFolder(path: string): Promise<void> {
  if ((await mkdir(path, { recursive: true })) !== undefined) await syncFolder(dirname(path));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function statOf(found: Stats): BlobStat {
  return { bytes: found.size, storedAtMs: Math.floor(found.mtimeMs) };
}

async function orUndefined<T>(looking: Promise<T>): Promise<T | undefined> {
  try {
    return await looking;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function onDisk<T>(doing: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new PlatformError("store-unavailable", `Could not ${doing}: ${why}`, { cause });
  }
}
