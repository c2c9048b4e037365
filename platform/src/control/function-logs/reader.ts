import type { FileHandle } from "node:fs/promises";
import type { Clock } from "#base/clock.ts";
import type { LogLine } from "#contract/api/resources.ts";
import { type LogFile, linesBackwards, listLogFiles, openLogFile } from "./files.ts";
import { missedLine, parseLine } from "./lines.ts";

const BLOCK_BYTES = 64 * 1024;
const NEWLINE = 10;
const EMPTY: Buffer = Buffer.alloc(0);
/** Longer ones are none of ours. */
const LONGEST_LINE_BYTES = 1024 * 1024;
/** Files written last so long before `since` hold nothing that is asked for, whatever clocks say. */
const CLOCK_SLACK_MS = 60_000;

export interface LogQuery {
  /** Stay, and give what comes. */
  readonly follow?: boolean | undefined;
  /** Only the last so many of what is there and matches. */
  readonly tail?: number | undefined;
  /** RFC 3339: only lines from then on. */
  readonly since?: string | undefined;
  /** Only lines of this invocation. */
  readonly invocation?: string | undefined;
}

/** What a reader must know of the writer. */
export interface LogChanges {
  readonly folder: string;
  /** Grows with every change of the files. */
  readonly version: number;
  /** Grows when the log is removed. */
  readonly generation: number;
  /** Resolves when the version is no longer this one, or when the signal aborts. */
  changedSince(version: number, signal: AbortSignal): Promise<void>;
}

interface Position {
  readonly number: number;
  readonly offset: number;
}

/**
 * Reads one function's log from its files, so that a reader costs one block of memory however slow it is. When the writer
 * has moved on and removed a file that was not read yet, a line says so.
 */
export class LogReader {
  readonly #writer: LogChanges;
  readonly #clock: Clock;
  readonly #functionName: string;
  readonly #query: LogQuery;
  readonly #sinceMs: number;
  readonly #signal: AbortSignal;
  /** What was given ends here; undefined: nothing yet, start with the first file there will be. */
  #at: Position | undefined;
  #file: FileHandle | undefined;
  /** Of the writer, when reading began: the log may be removed and begun anew. */
  #generation = 0;

  constructor(
    deps: { readonly clock: Clock; readonly writer: LogChanges },
    options: { readonly functionName: string; readonly query: LogQuery; readonly signal: AbortSignal },
  ) {
    this.#writer = deps.writer;
    this.#clock = deps.clock;
    this.#functionName = options.functionName;
    this.#query = options.query;
    this.#sinceMs = options.query.since === undefined ? 0 : Date.parse(options.query.since);
    this.#signal = options.signal;
  }

  async *lines(): AsyncGenerator<LogLine> {
    const { follow } = this.#query;
    this.#generation = this.#writer.generation;
    const files = await this.#relevantFiles();
    const last = files.at(-1);
    const end: Position = { number: last?.number ?? 0, offset: last?.bytes ?? 0 };
    this.#at = await this.#start(files);
    // Whoever aborts may never ask for another line.
    const close = () => void this.#file?.close();
    this.#signal.addEventListener("abort", close);
    try {
      while (!this.#isOver) {
        const version = this.#writer.version;
        yield* this.#whatIsThere(follow ? undefined : end);
        if (!follow || this.#isOver) return;
        await this.#writer.changedSince(version, this.#signal);
      }
    } finally {
      this.#signal.removeEventListener("abort", close);
      await this.#file?.close();
    }
  }

  async #relevantFiles(): Promise<LogFile[]> {
    const files = await listLogFiles(this.#writer.folder);
    return files.filter(({ writtenMs }) => writtenMs + CLOCK_SLACK_MS >= this.#sinceMs);
  }

  get #isOver(): boolean {
    return this.#signal.aborted || this.#writer.generation !== this.#generation;
  }

  /** Up to `end`, else up to the last complete line there is. */
  async *#whatIsThere(end: Position | undefined): AsyncGenerator<LogLine> {
    while (!this.#isOver) {
      // Seen before the file is read to its end: if there is a next one, this one does not grow any more.
      const files = await listLogFiles(this.#writer.folder);
      this.#at ??= files[0] && { number: files[0].number, offset: 0 };
      if (this.#at === undefined) return;
      const { number } = this.#at;
      // Kept open until it is read to its end: it may be removed meanwhile.
      this.#file ??= await openLogFile(this.#writer.folder, number);
      if (this.#isOver) return;
      const isMissed = this.#file === undefined;
      if (this.#file !== undefined)
        yield* this.#read(this.#file, this.#at, end?.number === number ? end.offset : Infinity);
      const next = files.find((file) => file.number > number);
      if (next === undefined || (end !== undefined && next.number > end.number)) return;
      if (isMissed || next.number > number + 1) yield missedLine(this.#functionName, this.#clock.now());
      await this.#file?.close();
      this.#file = undefined;
      this.#at = { number: next.number, offset: 0 };
    }
  }

  async *#read(file: FileHandle, { number, offset }: Position, end: number): AsyncGenerator<LogLine> {
    const block = Buffer.allocUnsafe(BLOCK_BYTES);
    let rest = EMPTY;
    let position = offset;
    while (position < end && !this.#signal.aborted) {
      const { bytesRead } = await file.read(block, 0, Math.min(BLOCK_BYTES, end - position), position);
      if (bytesRead === 0) return;
      position += bytesRead;
      const data = Buffer.concat([rest, block.subarray(0, bytesRead)]);
      let start = 0;
      for (let newline = data.indexOf(NEWLINE); newline >= 0; newline = data.indexOf(NEWLINE, start)) {
        const line = this.#accept(data.toString("utf8", start, newline));
        start = newline + 1;
        if (line !== undefined) yield line;
        if (this.#signal.aborted) return;
      }
      rest = data.length - start > LONGEST_LINE_BYTES ? EMPTY : data.subarray(start);
      this.#at = { number, offset: position - rest.length };
    }
  }

  #accept(text: string): LogLine | undefined {
    const { since, invocation } = this.#query;
    if (invocation !== undefined && !text.includes(invocation)) return undefined;
    const line = parseLine(text);
    if (line === undefined || (invocation !== undefined && line.invocation !== invocation)) return undefined;
    return since === undefined || Date.parse(line.at) >= this.#sinceMs ? line : undefined;
  }

  /** Undefined: from the first file there is, now or later. */
  async #start(files: readonly LogFile[]): Promise<Position | undefined> {
    const first = files[0];
    const { tail } = this.#query;
    if (first === undefined) return this.#newest();
    if (tail === undefined) return { number: first.number, offset: 0 };
    return (await this.#tailStart(files, tail)) ?? { number: first.number, offset: 0 };
  }

  /** For when all that there is was written long before `since`. */
  async #newest(): Promise<Position | undefined> {
    const last = (await listLogFiles(this.#writer.folder)).at(-1);
    return last && { number: last.number, offset: 0 };
  }

  /** Where the last `tail` lines that match begin, found from the end. Nothing is kept but the place. */
  async #tailStart(files: readonly LogFile[], tail: number): Promise<Position | undefined> {
    const last = files.at(-1)!;
    if (tail === 0) return { number: last.number, offset: await this.#lastLineEnd(last) };
    let found = 0;
    for (const { number, bytes } of files.toReversed()) {
      const file = await openLogFile(this.#writer.folder, number);
      if (file === undefined) return undefined;
      try {
        for await (const { start, text } of linesBackwards(file, bytes)) {
          if (this.#signal.aborted) return undefined;
          if (this.#accept(text) !== undefined && ++found === tail) return { number, offset: start };
        }
      } finally {
        await file.close();
      }
    }
    return undefined;
  }

  async #lastLineEnd({ number, bytes }: LogFile): Promise<number> {
    const file = await openLogFile(this.#writer.folder, number);
    if (file === undefined) return 0;
    try {
      for await (const { start, text } of linesBackwards(file, bytes)) return start + Buffer.byteLength(text) + 1;
      return 0;
    } finally {
      await file.close();
    }
  }
}
