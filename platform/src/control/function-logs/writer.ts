import { type FileHandle, mkdir, open, rm, rmdir } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "#base/log.ts";
import { listLogFiles, logFilePath, unlessMissing } from "./files.ts";
import type { LogChanges } from "./reader.ts";

/** Written at once at most. */
const CHUNK_BYTES = 256 * 1024;

export interface LogLimits {
  /** A file is followed by the next before it grows larger; a line that is larger has a file to itself. */
  readonly maximumFileBytes: number;
  readonly maximumFiles: number;
  /** Of all files of a function. */
  readonly maximumFunctionBytes: number;
}

/** Handles that writers keep open, the one used longest ago is given back first. */
export class OpenHandles {
  readonly #log: Log;
  readonly #limit: number;
  readonly #writers = new Set<LogWriter>();

  constructor(deps: { readonly log: Log }, limit: number) {
    this.#log = deps.log;
    this.#limit = limit;
  }

  used(writer: LogWriter): void {
    this.#writers.delete(writer);
    this.#writers.add(writer);
    if (this.#writers.size <= this.#limit) return;
    const [oldest] = this.#writers;
    if (oldest === undefined) return;
    this.#writers.delete(oldest);
    oldest.release().catch((error) => this.#log.warn("a log file did not close", { folder: oldest.folder, error }));
  }

  forget(writer: LogWriter): void {
    this.#writers.delete(writer);
  }
}

/**
 * The log of one function, as numbered files.
 *
 * Owns: the folder, which file is written and how large it is, what waits to be written, who waits for more.
 * Does not own: what lines say; readers' handles.
 * Invariants: 1. one writing at a time, in order of `append`; 2. only the file with the highest number grows, and it ends in a
 * newline whenever no write is under way; 3. every write wakes those who wait.
 */
export class LogWriter implements LogChanges {
  readonly folder: string;
  readonly #limits: LogLimits;
  readonly #handles: OpenHandles;
  /** Oldest first, the last one is written. Undefined: look first. */
  #files: { number: number; bytes: number }[] | undefined;
  #handle: FileHandle | undefined;
  #pending: string[] = [];
  #flushing: Promise<void> | undefined;
  #tail: Promise<void> = Promise.resolve();
  #version = 0;
  #generation = 0;
  #waiting = new Set<() => void>();

  constructor(folder: string, limits: LogLimits, handles: OpenHandles) {
    this.folder = folder;
    this.#limits = limits;
    this.#handles = handles;
  }

  get version(): number {
    return this.#version;
  }

  get generation(): number {
    return this.#generation;
  }

  /** Resolves when the lines are in their file. */
  append(lines: readonly string[]): Promise<void> {
    for (const line of lines) this.#pending.push(line);
    this.#flushing ??= this.#serially(() => this.#flush());
    return this.#flushing;
  }

  remove(): Promise<void> {
    return this.#serially(async () => {
      // First: what a reader opens from now on may be the next log already.
      this.#generation++;
      await this.#closeHandle();
      await rm(this.folder, { recursive: true, force: true });
      await removeEmpty(dirname(this.folder));
      await removeEmpty(dirname(dirname(this.folder)));
      this.#changed();
    });
  }

  /** Gives its handle back; the next write opens it again. */
  release(): Promise<void> {
    return this.#serially(() => this.#closeHandle());
  }

  async changedSince(version: number, signal: AbortSignal): Promise<void> {
    if (this.#version !== version || signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#waiting.add(wake);
    signal.addEventListener("abort", wake);
    await promise;
    this.#waiting.delete(wake);
    signal.removeEventListener("abort", wake);
  }

  #serially(action: () => Promise<void>): Promise<void> {
    const done = this.#tail.then(action);
    this.#tail = done.catch(() => {});
    return done;
  }

  async #flush(): Promise<void> {
    this.#flushing = undefined;
    const lines = this.#pending;
    this.#pending = [];
    try {
      for (const chunk of chunksOf(lines, Math.min(CHUNK_BYTES, this.#limits.maximumFileBytes))) {
        await this.#write(chunk);
      }
      this.#handles.used(this);
    } catch (error) {
      // Part of it may be in the file: look again before the next write.
      await this.#closeHandle();
      throw error;
    } finally {
      this.#changed();
    }
  }

  async #write(chunk: Buffer): Promise<void> {
    const files = await this.#current();
    let file = files.at(-1)!;
    if (file.bytes > 0 && file.bytes + chunk.length > this.#limits.maximumFileBytes) file = await this.#rotate(files);
    this.#handle ??= await open(logFilePath(this.folder, file.number), "a", 0o600);
    await this.#handle.appendFile(chunk);
    file.bytes += chunk.length;
    await this.#prune(files);
  }

  async #current(): Promise<{ number: number; bytes: number }[]> {
    if (this.#files !== undefined) return this.#files;
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const files = (await listLogFiles(this.folder)).map(({ number, bytes }) => ({ number, bytes }));
    const last = files.at(-1);
    if (last === undefined) files.push({ number: 1, bytes: 0 });
    else last.bytes += await endLine(logFilePath(this.folder, last.number));
    this.#files = files;
    return files;
  }

  async #rotate(files: { number: number; bytes: number }[]): Promise<{ number: number; bytes: number }> {
    await this.#handle?.close();
    this.#handle = undefined;
    const next = { number: files.at(-1)!.number + 1, bytes: 0 };
    files.push(next);
    return next;
  }

  async #prune(files: { number: number; bytes: number }[]): Promise<void> {
    const { maximumFiles, maximumFunctionBytes } = this.#limits;
    let total = files.reduce((sum, { bytes }) => sum + bytes, 0);
    while (files.length > 1 && (files.length > maximumFiles || total > maximumFunctionBytes)) {
      const oldest = files[0]!;
      await rm(logFilePath(this.folder, oldest.number), { force: true });
      files.shift();
      total -= oldest.bytes;
    }
  }

  async #closeHandle(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    this.#files = undefined;
    this.#handles.forget(this);
    await handle?.close();
  }

  #changed(): void {
    this.#version++;
    for (const wake of this.#waiting) wake();
  }
}

function* chunksOf(lines: readonly string[], maximumBytes: number): Generator<Buffer> {
  let part: string[] = [];
  let bytes = 0;
  for (const line of lines) {
    const size = Buffer.byteLength(line);
    if (bytes > 0 && bytes + size > maximumBytes) {
      yield Buffer.from(part.join(""));
      part = [];
      bytes = 0;
    }
    part.push(line);
    bytes += size;
  }
  if (bytes > 0) yield Buffer.from(part.join(""));
}

/** A crash may have torn the last line: it is ended, so that the next one stands for itself. Gives the bytes added. */
async function endLine(path: string): Promise<number> {
  const file = await open(path, "r+");
  try {
    const { size } = await file.stat();
    const last = Buffer.alloc(1);
    if (size === 0) return 0;
    await file.read(last, 0, 1, size - 1);
    if (last[0] === 10) return 0;
    await file.write("\n", size);
    return 1;
  } finally {
    await file.close();
  }
}

async function removeEmpty(folder: string): Promise<void> {
  try {
    await unlessMissing(rmdir(folder), undefined);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOTEMPTY") throw error;
  }
}
