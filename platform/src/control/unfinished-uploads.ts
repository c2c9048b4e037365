import { type FileHandle, mkdir, open, readdir, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Clock } from "#base/clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";

export interface UnfinishedUploadsDeps {
  readonly clock: Clock;
}

export interface UnfinishedUploadsOptions {
  /** Holds a folder for each tenant. */
  readonly folder: string;
  /** Of all unfinished uploads of a tenant. */
  readonly tenantBytes: number;
}

/** The part of an archive from `offset` on, or as much of that as arrives. */
export interface Piece {
  readonly offset: number;
  /** Of the whole archive. */
  readonly totalBytes: number;
  readonly source: Readable;
}

/** Takes the finished file. */
export type Finish = (path: string) => Promise<unknown>;

interface Writer {
  readonly source: Readable;
  /** When it last got bytes, monotonic. */
  heardAtMs: number;
  /** Settles when its file is closed. Never rejects. */
  ended: Promise<void>;
}

interface Kept {
  readonly digest: Digest;
  readonly bytes: number;
  readonly touchedAtMs: number;
}

/** A connection may be gone without anybody being told: a writer that is silent for so long makes room. */
const SILENT_MS = 5_000;
const MAXIMUM_KEPT = 64;

/**
 * What has arrived of archives whose upload was cut off, so that it can go on.
 * Owns the files, one for each unfinished upload, named by the digest that it is to have, and who writes them. Does not judge
 * what the bytes are: that is for who takes the finished file.
 * Invariants:
 * 1. A file holds the archive's bytes from the first on, without gaps: its length is the offset at which to go on.
 * 2. An upload has one writer at a time.
 * 3. A tenant's files are bounded in number and bytes: those longest untouched make room, those being written stay.
 */
export class UnfinishedUploads {
  readonly #deps: UnfinishedUploadsDeps;
  readonly #options: UnfinishedUploadsOptions;
  readonly #writers = new Map<string, Writer>();

  constructor(deps: UnfinishedUploadsDeps, options: UnfinishedUploadsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Where the upload is to go on. */
  async offset(tenant: string, digest: Digest): Promise<number> {
    return (await statIfThere(this.#path(tenant, digest)))?.size ?? 0;
  }

  #path(tenant: string, digest: Digest): string {
    return join(this.#options.folder, tenant, digest.slice("sha256:".length));
  }

  /**
   * Adds what arrives of the piece; what came before the source failed stays. Answers where the upload then stands: at its end
   * `finish` has taken the file, which is gone afterwards.
   * @throws PlatformError `conflict` when the piece does not begin where the upload stands, or somebody else sends it now.
   */
  async append(tenant: string, digest: Digest, piece: Piece, finish: Finish): Promise<number> {
    const path = this.#path(tenant, digest);
    const { writer, release } = await this.#claim(path, piece.source);
    try {
      const offset = await this.offset(tenant, digest);
      if (offset !== piece.offset) throw elsewhere(offset, piece.offset);
      if (offset === 0) await this.#makeRoom(tenant, digest, piece.totalBytes);
      await mkdir(join(this.#options.folder, tenant), { recursive: true, mode: 0o700 });
      const reached = await this.#write(path, piece, writer);
      if (reached === piece.totalBytes) await this.#finish(path, finish);
      return reached;
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === "ENOSPC" ? noSpace(error) : error;
    } finally {
      release();
    }
  }

  async #finish(path: string, finish: Finish): Promise<void> {
    try {
      await finish(path);
    } catch (error) {
      // Some byte of it is wrong, and nobody knows which. What else may fail can be tried again.
      if (error instanceof PlatformError && error.code === "digest-mismatch") await rm(path, { force: true });
      throw error;
    }
    await rm(path, { force: true });
  }

  /** Removes what nobody has touched since `untilMs`. */
  async sweep(untilMs: number): Promise<void> {
    for (const tenant of await namesIn(this.#options.folder))
      for (const { digest, touchedAtMs } of await this.#kept(tenant))
        if (touchedAtMs < untilMs) await this.#remove(tenant, digest);
  }

  /** Becomes the upload's one writer; ends one that seems to be gone. */
  async #claim(path: string, source: Readable): Promise<{ readonly writer: Writer; release(): void }> {
    const { clock } = this.#deps;
    for (let other = this.#writers.get(path); other !== undefined; other = this.#writers.get(path)) {
      if (clock.monotonic() - other.heardAtMs < SILENT_MS)
        throw new PlatformError("conflict", "Another request is sending this archive now: try again in a moment.");
      other.source.destroy(new Error("another request goes on with this upload"));
      await other.ended;
    }
    // It may be destroyed before anybody reads it.
    source.once("error", () => {});
    const { promise, resolve } = Promise.withResolvers<void>();
    const writer: Writer = { source, heardAtMs: clock.monotonic(), ended: promise };
    this.#writers.set(path, writer);
    const release = (): void => {
      this.#writers.delete(path);
      resolve();
    };
    return { writer, release };
  }

  async #write(path: string, { offset, totalBytes, source }: Piece, writer: Writer): Promise<number> {
    const { clock } = this.#deps;
    const file = await open(path, "a", 0o600);
    let at = offset;
    try {
      for await (const chunk of source as AsyncIterable<Uint8Array>) {
        writer.heardAtMs = clock.monotonic();
        if (at + chunk.byteLength > totalBytes) throw tooMuch(totalBytes);
        await writeAll(file, chunk);
        at += chunk.byteLength;
      }
    } finally {
      await file.close();
      const touchedAt = clock.now() / 1_000;
      if (at === 0 && totalBytes > 0) await rm(path, { force: true });
      else await utimes(path, touchedAt, touchedAt);
    }
    return at;
  }

  async #makeRoom(tenant: string, digest: Digest, wantedBytes: number): Promise<void> {
    const others = (await this.#kept(tenant)).filter((one) => one.digest !== digest);
    others.sort((a, b) => a.touchedAtMs - b.touchedAtMs);
    let bytes = others.reduce((sum, one) => sum + one.bytes, wantedBytes);
    let number = others.length + 1;
    const fits = (): boolean => bytes <= this.#options.tenantBytes && number <= MAXIMUM_KEPT;
    for (const other of others) {
      if (fits() || !(await this.#remove(tenant, other.digest))) continue;
      bytes -= other.bytes;
      number--;
    }
    if (!fits()) throw new PlatformError("unavailable", "Too much is being uploaded at once: try again in a moment.");
  }

  /** False: it is being written. */
  async #remove(tenant: string, digest: Digest): Promise<boolean> {
    const path = this.#path(tenant, digest);
    if (this.#writers.has(path)) return false;
    await rm(path, { force: true });
    return true;
  }

  async #kept(tenant: string): Promise<Kept[]> {
    const kept: Kept[] = [];
    for (const name of await namesIn(join(this.#options.folder, tenant))) {
      const digest: Digest = `sha256:${name}`;
      const found = await statIfThere(this.#path(tenant, digest));
      if (found !== undefined) kept.push({ digest, bytes: found.size, touchedAtMs: found.mtimeMs });
    }
    return kept;
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let rest = chunk; rest.byteLength > 0; ) {
    const { bytesWritten } = await file.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}

async function statIfThere(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

function elsewhere(offset: number, given: number): PlatformError {
  const message = `The upload stands at byte ${offset}, and Upload-Offset says ${given}: HEAD tells where to go on.`;
  return new PlatformError("conflict", message, { details: { offset } });
}

function tooMuch(totalBytes: number): PlatformError {
  return new PlatformError("request-invalid", `More came than the ${totalBytes} bytes that Upload-Length says.`);
}

function noSpace(cause: unknown): PlatformError {
  return new PlatformError("unavailable", "There is no space left for uploads on control's disk.", { cause });
}
