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
}

export interface PlatformLogDeps {
  readonly clock: Clock;
  /** It can't be written from now on. Once, until it can again. */
  readonly onBroken: (error: Error) => void;
  /** It may be that it can again, without so many lines. What is written now comes before all that follows. */
  readonly onTriedAgain: (linesLost: number) => void;
}

const RETRY_MS = 5_000;

/**
 * The platform's log file: lines of every role, rotated by size. A full disk must not stop the platform: what can't be written is
 * lost, and counted in the first line that can be.
 */
export class PlatformLog {
  readonly #path: string;
  readonly #deps: PlatformLogDeps;
  readonly #options: PlatformLogOptions;
  /** Undefined while it can't be written. */
  #stream: WriteStream | undefined;
  #bytes = 0;
  #lost = 0;
  #brokenAt = 0;
  #told = false;
  /** What is written now tells of lost lines, and is none itself. */
  #telling = false;

  constructor(path: string, deps: PlatformLogDeps, options: PlatformLogOptions) {
    this.#path = path;
    this.#deps = deps;
    this.#options = options;
    this.#open();
  }

  /** Whole lines. */
  write(text: string): void {
    if (this.#stream === undefined) this.#tryAgain();
    if (this.#bytes > this.#options.maximumBytes) this.#rotate();
    if (this.#stream === undefined) return this.#lose(text);
    this.#bytes += Buffer.byteLength(text);
    this.#append(this.#stream, text);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#stream === undefined) resolve();
      else this.#stream.end(() => resolve());
    });
  }

  #append(stream: WriteStream, text: string): void {
    const telling = this.#telling;
    stream.write(text, (error) => {
      if (error && !telling) this.#lose(text);
      else if (!error && this.#stream === stream) this.#mended();
    });
  }

  #mended(): void {
    this.#told = false;
    this.#lost = 0;
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
    if (this.#told) return;
    this.#told = true;
    this.#deps.onBroken(error);
  }

  #tryAgain(): void {
    const { clock, onTriedAgain } = this.#deps;
    if (clock.monotonic() - this.#brokenAt < (this.#options.retryMs ?? RETRY_MS)) return;
    this.#open();
    if (this.#stream === undefined || this.#lost === 0) return;
    this.#telling = true;
    onTriedAgain(this.#lost);
    this.#telling = false;
  }

  #lose(text: string): void {
    this.#lost += text.split("\n").length - 1;
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
