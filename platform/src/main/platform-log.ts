import { createWriteStream, mkdirSync, renameSync, statSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "#base/clock.ts";

export interface PlatformLogOptions {
  /** A file that is larger is put aside. */
  readonly maximumBytes: number;
  /** Kept at most, the one that is written included. */
  readonly files: number;
  /** Between two attempts, while it can't be written. Default 5 s. */
  readonly retryMs?: number;
  /** Held in memory while the disk does not take them. Default 8 MiB. */
  readonly waitingBytes?: number;
}

export interface PlatformLogDeps {
  readonly clock: Clock;
  /** It can't be written from now on. Once, until it can again. */
  readonly onBroken: (error: Error) => void;
  /** It may be that it can again, without so many lines. What is written now comes before all that follows. */
  readonly onTriedAgain: (linesLost: number) => void;
}

const RETRY_MS = 5_000;
/** For what waits to be written, when there is nothing more to come. */
const CLOSE_MS = 2_000;
const WAITING_BYTES = 8 * 1024 ** 2;

/**
 * The platform's log file: lines of every role, rotated by size. A disk that is full or hangs must not stop the platform, nor
 * fill its memory: what can't be written is lost, and counted in the first line that can be.
 */
export class PlatformLog {
  readonly #path: string;
  readonly #deps: PlatformLogDeps;
  readonly #options: PlatformLogOptions;
  /** Undefined while it can't be written. */
  #stream: WriteStream | undefined;
  #bytes = 0;
  /** Given to the disk, which has not taken it; files that were put aside included. */
  #waitingBytes = 0;
  /** Too much waited: lines are lost until nothing waits any more. */
  #isFull = false;
  /** Lines that nobody was told of. */
  #lost = 0;
  #brokenAt = 0;
  #told = false;
  /** What is written now tells of so many lost lines, and is none itself. */
  #telling = 0;

  constructor(path: string, deps: PlatformLogDeps, options: PlatformLogOptions) {
    this.#path = path;
    this.#deps = deps;
    this.#options = options;
    this.#open();
  }

  /** Whole lines. */
  write(text: string): void {
    if (this.#stream === undefined) this.#tryAgain();
    if (this.#lost > 0 && this.#stream !== undefined && !this.#isFull) this.#tell();
    if (this.#bytes > this.#options.maximumBytes) this.#rotate();
    const bytes = Buffer.byteLength(text);
    this.#checkRoom(bytes);
    if (this.#stream === undefined || this.#isFull) return this.#lose(text);
    this.#append(this.#stream, text, bytes);
  }

  /** `hangs`: the disk does not take what waits. A thread of this process is held by it, so that it can't exit by itself. */
  close(): Promise<"closed" | "hangs"> {
    const stream = this.#stream;
    if (stream === undefined) return Promise.resolve("closed");
    const { clock } = this.#deps;
    return new Promise((resolve) => {
      const timer = clock.after(CLOSE_MS, () => resolve("hangs"));
      stream.end(() => {
        clock.cancel(timer);
        resolve("closed");
      });
    });
  }

  #append(stream: WriteStream, text: string, bytes: number): void {
    const told = this.#telling;
    this.#bytes += bytes;
    this.#waitingBytes += bytes;
    stream.write(text, (error) => {
      this.#waitingBytes -= bytes;
      if (this.#waitingBytes === 0) this.#isFull = false;
      if (!error) this.#told = this.#told && this.#stream !== stream;
      else if (told > 0) this.#lost += told;
      else this.#lose(text);
    });
  }

  #checkRoom(bytes: number): void {
    const maximum = this.#options.waitingBytes ?? WAITING_BYTES;
    if (this.#isFull || this.#waitingBytes + bytes <= maximum) return;
    this.#isFull = this.#waitingBytes > 0;
    if (this.#isFull) this.#tellBroken(new Error(`the disk does not take it: ${this.#waitingBytes} bytes wait`));
  }

  #tell(): void {
    this.#telling = this.#lost;
    this.#lost = 0;
    this.#deps.onTriedAgain(this.#telling);
    this.#telling = 0;
  }

  #open(): void {
    try {
      mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
      this.#bytes = statSync(this.#path, { throwIfNoEntry: false })?.size ?? 0;
    } catch (error) {
      return this.#broke(error as Error);
    }
    const stream = createWriteStream(this.#path, { flags: "a", mode: 0o600 });
    stream.on("error", (error) => {
      if (this.#stream === stream) this.#broke(error);
    });
    this.#stream = stream;
  }

  #broke(error: Error): void {
    this.#stream = undefined;
    this.#brokenAt = this.#deps.clock.monotonic();
    this.#tellBroken(error);
  }

  #tellBroken(error: Error): void {
    if (this.#told) return;
    this.#told = true;
    this.#deps.onBroken(error);
  }

  #tryAgain(): void {
    if (this.#deps.clock.monotonic() - this.#brokenAt < (this.#options.retryMs ?? RETRY_MS)) return;
    this.#open();
  }

  #lose(text: string): void {
    if (this.#telling > 0) this.#lost += this.#telling;
    else this.#lost += text.split("\n").length - 1;
  }

  #rotate(): void {
    this.#stream?.end();
    this.#stream = undefined;
    try {
      for (let number = this.#options.files - 1; number >= 1; number--) {
        const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
        if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, `${this.#path}.${number}`);
      }
    } catch (error) {
      return this.#broke(error as Error);
    }
    this.#open();
  }
}
