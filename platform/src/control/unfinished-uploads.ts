import { type FileHandle, mkdir, open, readdir, rm, rmdir, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import type { Clock } from "#base/clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { Intake } from "./intake.ts";
import { type Bounds, chooseVictims, type Kept } from "./upload-room.ts";

export interface UnfinishedUploadsDeps {
  readonly clock: Clock;
}

export interface UnfinishedUploadsOptions {
  /** Holds a folder for each tenant. */
  readonly folder: string;
  /** Of each tenant, and of all of them together: whoever may speak for every tenant could name any number. */
  readonly tenant: Bounds;
  readonly all: Bounds;
}

/** The part of an archive from `offset` on, or as much of that as arrives. */
export interface Piece {
  readonly offset: number;
  /** Of the whole archive. */
  readonly totalBytes: number;
  readonly source: Readable;
}

/** How far an upload has come. */
export interface Standing {
  readonly offset: number;
  readonly totalBytes: number;
}

/** Takes the finished file. */
export type Finish = (path: string) => Promise<unknown>;

interface Writer {
  readonly intake: Intake;
  readonly totalBytes: number;
  /** It has its room: until then it counts for nothing. */
  admitted: boolean;
  /** Settles when its file is closed. Never rejects. */
  readonly ended: Promise<void>;
}

/** Its name says of a file which bytes are to be in it, and how many. */
const NAME = /^([0-9a-f]{64})-(\d{1,16})$/;

/**
 * What has arrived of archives whose upload was cut off, so that it can go on.
 * Owns the files, one for each unfinished upload, named by the digest and the length that it is to have, and who writes them.
 * Does not judge what the bytes are: that is for who takes the finished file.
 * Invariants:
 * 1. A file holds the archive's bytes from the first on, without gaps: its length is the offset at which to go on.
 * 2. An upload has one writer at a time, and one length from its first byte on.
 * 3. Files are bounded in number and bytes, for each tenant and for all: those longest untouched make room, then those whose
 *    writer is silent; those being written stay.
 * 4. Whether there is room, what makes it and the opening of the file are one step (`#alone`): only there are files of others removed.
 */
export class UnfinishedUploads {
  readonly #deps: UnfinishedUploadsDeps;
  readonly #options: UnfinishedUploadsOptions;
  /** By tenant and digest. */
  readonly #writers = new Map<string, Writer>();
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: UnfinishedUploadsDeps, options: UnfinishedUploadsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Where the upload is to go on; undefined where nothing of it is there. */
  async standing(tenant: string, digest: Digest): Promise<Standing | undefined> {
    const name = (await namesIn(this.#folder(tenant))).find((name) => digestOf(name) === digest);
    const found = name === undefined ? undefined : await this.#read(tenant, name);
    return found && { offset: found.bytes, totalBytes: found.totalBytes };
  }

  /**
   * Adds what arrives of the piece; what came before the source failed stays. Answers where the upload then stands: at its end
   * `finish` has taken the file, which is gone afterwards.
   * @throws PlatformError `conflict` when the piece does not begin where the upload stands, or somebody else sends it now;
   * `request-invalid` when it is of another length; `request-timeout` when it does not get on; `unavailable` when there is no room.
   */
  async append(tenant: string, digest: Digest, piece: Piece, finish: Finish): Promise<number> {
    const { writer, release } = await this.#claim(keyOf(tenant, digest), piece);
    try {
      const path = this.#path(tenant, digest, piece.totalBytes);
      const file = await this.#alone(() => this.#admit(tenant, digest, piece, writer));
      const reached = await this.#write(file, path, piece, writer);
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

  /** Removes what nobody has touched since `untilMs`, and what is no upload. */
  sweep(untilMs: number): Promise<void> {
    return this.#alone(async () => {
      const old = (await this.#kept()).filter(
        ({ key, touchedAtMs }) => touchedAtMs < untilMs && !this.#writers.has(key),
      );
      for (const { path } of old) await rm(path, { force: true });
      for (const tenant of await namesIn(this.#options.folder)) {
        const folder = this.#folder(tenant);
        for (const name of await namesIn(folder))
          if (digestOf(name) === undefined) await rm(join(folder, name), { recursive: true, force: true });
        await rmdir(folder).catch(unlessFilled);
      }
    });
  }

  /** Becomes the upload's one writer; ends one that seems to be gone. */
  async #claim(key: string, { source, totalBytes }: Piece): Promise<{ readonly writer: Writer; release(): void }> {
    // Now, so that an error of its source is heard while the other ends.
    const intake = new Intake(this.#deps, source);
    for (let other = this.#writers.get(key); other !== undefined; other = this.#writers.get(key)) {
      if (!other.intake.isSilent)
        throw new PlatformError("conflict", "Another request is sending this archive now: try again in a moment.");
      other.intake.stop(new PlatformError("conflict", "Another request goes on with this upload."));
      await other.ended;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    const writer: Writer = { intake, totalBytes, admitted: false, ended: promise };
    this.#writers.set(key, writer);
    const release = (): void => {
      this.#writers.delete(key);
      resolve();
    };
    return { writer, release };
  }

  /** Opens the file of an upload that there is room for. */
  async #admit(tenant: string, digest: Digest, piece: Piece, writer: Writer): Promise<FileHandle> {
    const { offset, totalBytes } = (await this.standing(tenant, digest)) ?? { offset: 0, totalBytes: piece.totalBytes };
    if (totalBytes !== piece.totalBytes) throw otherLength(totalBytes, piece.totalBytes);
    if (offset !== piece.offset) throw elsewhere(offset, piece.offset);
    await this.#makeRoom(tenant, digest, totalBytes);
    await mkdir(this.#folder(tenant), { recursive: true, mode: 0o700 });
    const file = await open(this.#path(tenant, digest, totalBytes), "a", 0o600);
    writer.admitted = true;
    return file;
  }

  async #write(file: FileHandle, path: string, { offset, totalBytes }: Piece, { intake }: Writer): Promise<number> {
    let at = offset;
    try {
      for await (const chunk of intake) {
        if (at + chunk.byteLength > totalBytes) throw tooMuch(totalBytes);
        await writeAll(file, chunk);
        at += chunk.byteLength;
      }
    } finally {
      await file.close();
      const touchedAt = this.#deps.clock.now() / 1_000;
      if (at === 0 && totalBytes > 0) await rm(path, { force: true });
      else await utimes(path, touchedAt, touchedAt);
    }
    return at;
  }

  async #makeRoom(tenant: string, digest: Digest, wantedBytes: number): Promise<void> {
    const key = keyOf(tenant, digest);
    const others = (await this.#kept()).filter((one) => one.key !== key);
    const victims = chooseVictims(others, { tenant, bytes: wantedBytes }, this.#options);
    if (victims === undefined)
      throw new PlatformError("unavailable", "Too much is being uploaded at once: try again in a moment.");
    for (const { key, path } of victims) {
      const writer = this.#writers.get(key);
      if (writer?.admitted) {
        writer.intake.stop(new PlatformError("unavailable", "Nothing came for long, and others needed the room."));
        await writer.ended;
      }
      await rm(path, { force: true });
    }
  }

  /** One after the other. */
  #alone<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#last.then(step);
    this.#last = done.catch(() => {});
    return done;
  }

  /** All files. Who writes one has it since it was admitted. */
  async #kept(): Promise<Kept[]> {
    const kept: Kept[] = [];
    for (const tenant of await namesIn(this.#options.folder)) {
      const names = await namesIn(this.#folder(tenant));
      const found = await Promise.all(names.map((name) => this.#read(tenant, name)));
      kept.push(...found.filter((one) => one !== undefined));
    }
    return kept;
  }

  async #read(tenant: string, name: string): Promise<Kept | undefined> {
    const digest = digestOf(name);
    const path = join(this.#folder(tenant), name);
    const found = digest === undefined ? undefined : await statIfThere(path);
    if (digest === undefined || found === undefined) return undefined;
    const key = keyOf(tenant, digest);
    const writer = this.#writers.get(key);
    const use = writer?.admitted ? (writer.intake.isSilent ? "silent" : "busy") : "idle";
    const totalBytes = Number(NAME.exec(name)![2]);
    return { tenant, key, path, use, bytes: found.size, totalBytes, touchedAtMs: found.mtimeMs };
  }

  #folder(tenant: string): string {
    return join(this.#options.folder, tenant);
  }

  #path(tenant: string, digest: Digest, totalBytes: number): string {
    return join(this.#folder(tenant), `${digest.slice("sha256:".length)}-${totalBytes}`);
  }
}

function keyOf(tenant: string, digest: Digest): string {
  return `${tenant} ${digest}`;
}

function digestOf(name: string): Digest | undefined {
  const hex = NAME.exec(name)?.[1];
  return hex === undefined ? undefined : `sha256:${hex}`;
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let rest = chunk; rest.byteLength > 0; ) {
    const { bytesWritten } = await file.write(rest);
    rest = rest.subarray(bytesWritten);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return [];
    throw error;
  });
}

async function statIfThere(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
}

function unlessFilled(error: NodeJS.ErrnoException): void {
  if (!["ENOTEMPTY", "EEXIST", "ENOENT", "ENOTDIR"].includes(error.code ?? "")) throw error;
}

function elsewhere(offset: number, given: number): PlatformError {
  const message = `The upload stands at byte ${offset}, and Upload-Offset says ${given}: HEAD tells where to go on.`;
  return new PlatformError("conflict", message, { details: { offset } });
}

function otherLength(totalBytes: number, given: number): PlatformError {
  const message = `The upload began with an Upload-Length of ${totalBytes}, and now it says ${given}: it is the size of the whole archive, the same for every piece. If it was wrong at first, send the archive in one go with PUT.`;
  return new PlatformError("request-invalid", message, { details: { totalBytes } });
}

function tooMuch(totalBytes: number): PlatformError {
  return new PlatformError("request-invalid", `More came than the ${totalBytes} bytes that Upload-Length says.`);
}

function noSpace(cause: unknown): PlatformError {
  return new PlatformError("unavailable", "There is no space left for uploads on control's disk.", { cause });
}
