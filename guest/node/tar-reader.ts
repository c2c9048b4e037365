const BLOCK = 512;
const FILE = "0";
const FOLDER = "5";
const PAX = "x";
const PAX_GLOBAL = "g";
/** A pax header only carries a path. */
const MAXIMUM_PAX = 64 * 1024;

export class TarError extends Error {}

export interface TarHandlers {
  folder(path: string): void;
  /** Opens a file of `size` bytes, whose `write`s follow, then `fileEnd`. */
  file(path: string, size: number, executable: boolean): void;
  write(bytes: Buffer): void;
  fileEnd(): void;
}

/** What the bytes that come next belong to. */
type Phase =
  | { readonly kind: "header" }
  | { readonly kind: "file" | "pax"; left: number; padding: number }
  | { readonly kind: "end" };

/**
 * Reads a plain tar (ustar, long paths in pax headers) piece by piece, holding one block. Only regular files and folders are
 * taken: @throws TarError for all else, and for paths that lead out.
 */
export class TarReader {
  readonly #handlers: TarHandlers;
  #phase: Phase = { kind: "header" };
  #held: Buffer = Buffer.alloc(0);
  #pax: Buffer[] = [];
  #longPath: string | undefined;

  constructor(handlers: TarHandlers) {
    this.#handlers = handlers;
  }

  push(bytes: Buffer): void {
    let rest = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    while (rest.length > 0) {
      const used = this.#phase.kind === "header" ? this.#takeHeader(rest) : this.#takeContent(rest);
      if (used === 0) break;
      rest = rest.subarray(used);
    }
    this.#held = Buffer.from(rest);
  }

  /** @throws TarError when the archive is cut short. */
  finish(): void {
    if (this.#phase.kind !== "end") throw new TarError("the bundle is cut short: its archive has no end");
  }

  #takeHeader(bytes: Buffer): number {
    if (bytes.length < BLOCK) return 0;
    const block = bytes.subarray(0, BLOCK);
    if (block.every((byte) => byte === 0)) {
      this.#phase = { kind: "end" };
      return BLOCK;
    }
    verifySum(block);
    this.#open(block);
    return BLOCK;
  }

  #open(block: Buffer): void {
    const type = String.fromCharCode(block[156]!).replace("\0", FILE);
    const size = Number.parseInt(text(block, 124, 12), 8) || 0;
    if (size < 0) throw new TarError("a size in the bundle is negative");
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (type === PAX || type === PAX_GLOBAL) {
      if (size > MAXIMUM_PAX) throw new TarError("a pax header in the bundle is too large");
      this.#pax = [];
      this.#phase = { kind: "pax", left: size, padding };
      return;
    }
    const prefix = text(block, 345, 155);
    const path = checkPath(
      this.#longPath ?? (prefix === "" ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`),
    );
    this.#longPath = undefined;
    if (type === FOLDER) {
      this.#handlers.folder(path);
      return;
    }
    if (type !== FILE)
      throw new TarError(`"${path}" in the bundle is a link or device; only files and folders are taken`);
    this.#handlers.file(path, size, (Number.parseInt(text(block, 100, 8), 8) & 0o100) !== 0);
    this.#phase = { kind: "file", left: size, padding };
    if (size === 0) this.#close();
  }

  #takeContent(bytes: Buffer): number {
    const phase = this.#phase;
    if (phase.kind === "header" || phase.kind === "end") return bytes.length;
    if (phase.left === 0) return this.#takePadding(phase, bytes);
    const piece = bytes.subarray(0, phase.left);
    if (phase.kind === "file") this.#handlers.write(piece);
    else this.#pax.push(Buffer.from(piece));
    phase.left -= piece.length;
    if (phase.left === 0 && phase.padding === 0) this.#close();
    return piece.length;
  }

  #takePadding(phase: { padding: number }, bytes: Buffer): number {
    const skipped = Math.min(phase.padding, bytes.length);
    phase.padding -= skipped;
    if (phase.padding === 0) this.#close();
    return skipped;
  }

  #close(): void {
    if (this.#phase.kind === "file") this.#handlers.fileEnd();
    else this.#longPath = paxPath(Buffer.concat(this.#pax)) ?? this.#longPath;
    this.#phase = { kind: "header" };
  }
}

function text(block: Buffer, offset: number, length: number): string {
  const field = block.subarray(offset, offset + length);
  const end = field.indexOf(0);
  return field.toString("utf8", 0, end < 0 ? length : end);
}

function verifySum(block: Buffer): void {
  let sum = 0;
  for (let index = 0; index < BLOCK; index++) sum += index >= 148 && index < 156 ? 32 : block[index]!;
  if (sum !== Number.parseInt(text(block, 148, 8), 8))
    throw new TarError("the bundle is not a tar archive: a header's sum is wrong");
}

function checkPath(path: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (path.startsWith("/") || path.includes("\\") || path.includes("\0") || parts.includes(".."))
    throw new TarError(`"${path}" in the bundle leads out of its folder`);
  return parts.join("/");
}

/** Records of a pax header are `length key=value\n`. */
function paxPath(bytes: Buffer): string | undefined {
  let path: string | undefined;
  for (let offset = 0; offset < bytes.length; ) {
    const length = Number.parseInt(bytes.toString("latin1", offset, offset + 10), 10);
    if (!(length > 0)) throw new TarError("a pax header in the bundle is broken");
    const record = bytes.toString("utf8", offset, offset + length - 1);
    const field = record.slice(record.indexOf(" ") + 1);
    if (field.startsWith("path=")) path = field.slice(5);
    offset += length;
  }
  return path;
}
