import { createWriteStream, mkdirSync, renameSync, statSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";

export interface PlatformLogOptions {
  /** A file that is larger is put aside. */
  readonly maximumBytes: number;
  /** Kept at most, the one that is written included. */
  readonly files: number;
}

/** The platform's log file: lines of every role, rotated by size. */
export class PlatformLog {
  readonly #path: string;
  readonly #options: PlatformLogOptions;
  #stream: WriteStream;
  #bytes: number;

  constructor(path: string, options: PlatformLogOptions) {
    this.#path = path;
    this.#options = options;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#stream = this.#open();
  }

  /** Whole lines. */
  write(text: string): void {
    if (this.#bytes > this.#options.maximumBytes) this.#rotate();
    this.#bytes += Buffer.byteLength(text);
    this.#stream.write(text);
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#stream.end(() => resolve()));
  }

  #open(): WriteStream {
    // A full disk must not stop the platform; what can't be written is lost.
    return createWriteStream(this.#path, { flags: "a", mode: 0o600 }).on("error", () => {});
  }

  #rotate(): void {
    this.#stream.end();
    for (let number = this.#options.files - 1; number >= 1; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, `${this.#path}.${number}`);
    }
    this.#bytes = 0;
    this.#stream = this.#open();
  }
}
