import { closeSync, linkSync, mkdirSync, openSync, renameSync, rmSync, symlinkSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { TarReader } from "./tar-reader.ts";

/**
 * Takes a bundle's bytes as they come and unpacks them into `folder`, which appears only when all arrived and the digest is
 * right.
 *
 * Owns: the folder being filled, beside the final one, and the file being written.
 */
export class Unpacker {
  readonly #folder: string;
  readonly #aside: string;
  readonly #expected: { readonly bytes: number; readonly digest: string };
  // Loading it costs each idle guest memory, and those with mounted code never need it.
  readonly #hash = process.getBuiltinModule("node:crypto").createHash("sha256");
  readonly #tar: TarReader;
  #bytes = 0;
  #file = -1;
  #failure: Error | undefined;

  constructor(folder: string, expected: { readonly bytes: number; readonly digest: string }) {
    this.#folder = folder;
    this.#aside = `${folder}.part`;
    this.#expected = expected;
    rmSync(this.#aside, { recursive: true, force: true });
    mkdirSync(this.#aside, { recursive: true });
    this.#tar = new TarReader({
      folder: (path) => mkdirSync(join(this.#aside, path), { recursive: true }),
      link: (path, target) => symlinkSync(target, this.#place(path)),
      hardLink: (path, target) => linkSync(join(this.#aside, target), this.#place(path)),
      file: (path, _size, executable) => {
        this.#file = openSync(this.#place(path), "wx", executable ? 0o755 : 0o644);
      },
      write: (bytes) => writeAll(this.#file, bytes),
      fileEnd: () => this.#closeFile(),
    });
  }

  /** Keeps a failure for `finish`: the sender goes on to the end whatever it sends. */
  push(bytes: Buffer): void {
    this.#bytes += bytes.length;
    if (this.#failure !== undefined) return;
    try {
      if (this.#bytes > this.#expected.bytes) throw this.#wrongSize();
      this.#hash.update(bytes);
      this.#tar.push(bytes);
    } catch (error) {
      this.#failure = error as Error;
    }
  }

  /** @returns the folder. @throws what was wrong; nothing is left then. */
  finish(): string {
    try {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#bytes !== this.#expected.bytes) throw this.#wrongSize();
      const digest = `sha256:${this.#hash.digest("hex")}`;
      if (digest !== this.#expected.digest)
        throw new Error(`the bundle has the digest ${digest}, not ${this.#expected.digest}`);
      this.#tar.finish();
      renameSync(this.#aside, this.#folder);
      return this.#folder;
    } catch (error) {
      this.abandon();
      throw error;
    }
  }

  abandon(): void {
    this.#closeFile();
    rmSync(this.#aside, { recursive: true, force: true });
  }

  /** Where the entry goes; the folders above it are there. */
  #place(path: string): string {
    const place = join(this.#aside, path);
    mkdirSync(dirname(place), { recursive: true });
    return place;
  }

  #closeFile(): void {
    if (this.#file >= 0) closeSync(this.#file);
    this.#file = -1;
  }

  #wrongSize(): Error {
    return new Error(`the bundle has ${this.#bytes} bytes or more, not ${this.#expected.bytes}`);
  }
}

function writeAll(file: number, bytes: Buffer): void {
  for (let from = 0; from < bytes.length; ) from += writeSync(file, bytes, from);
}
