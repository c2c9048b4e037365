import { createWriteStream, mkdirSync, renameSync, statSync, type WriteStream } from "node:fs";
import { dirname } from "node:path";

const MAXIMUM_BYTES = 20 * 1024 * 1024;
const KEPT_FILES = 5;

/** The platform's log file: lines of every role, rotated by size. */
export class PlatformLog {
  readonly #path: string;
  #stream: WriteStream;
  #bytes: number;

  constructor(path: string) {
    this.#path = path;
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    this.#bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#stream = this.#open();
  }

  write(text: string): void {
    if (this.#bytes > MAXIMUM_BYTES) this.#rotate();
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
    for (let number = KEPT_FILES - 1; number >= 1; number--) {
      const from = number === 1 ? this.#path : `${this.#path}.${number - 1}`;
      if (statSync(from, { throwIfNoEntry: false }) !== undefined) renameSync(from, `${this.#path}.${number}`);
    }
    this.#bytes = 0;
    this.#stream = this.#open();
  }
}
