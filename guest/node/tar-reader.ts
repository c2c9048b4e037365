import { BundleTree, TarError } from "./bundle-tree.ts";

const BLOCK = 512;
const FILE = "0";
const HARD_LINK = "1";
const LINK = "2";
const FOLDER = "5";
const PAX = "x";
const PAX_GLOBAL = "g";
/** A pax header only carries a path and where a link leads. */
const MAXIMUM_PAX = 64 * 1024;

export interface TarHandlers {
  folder(path: string): void;
  /** A symbolic link, whose target is relative to its own folder and stays inside. */
  link(path: string, target: string): void;
  /** Another name of a file that was given before. */
  hardLink(path: string, target: string): void;
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
 * Reads a plain tar (ustar, long paths in pax headers) piece by piece, holding one block. Regular files, folders and links that
 * stay inside are taken: @throws TarError for all else, and for paths that lead out.
 */
export class TarReader {
  readonly #handlers: TarHandlers;
  #phase: Phase = { kind: "header" };
  #held: Buffer = Buffer.alloc(0);
  #pax: Buffer[] = [];
  /** Of the entry that follows, from its pax header. */
  #long: LongPaths = {};
  readonly #tree = new BundleTree();

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
    const name = this.#long.path ?? (prefix === "" ? text(block, 0, 100) : `${prefix}/${text(block, 0, 100)}`);
    const target = this.#long.linkpath ?? text(block, 157, 100);
    this.#long = {};
    if (type !== FILE) {
      if (size > 0) throw new TarError(`"${name}" in the bundle is no file and has content`);
      this.#openOther(type, name, target);
      return;
    }
    const executable = (Number.parseInt(text(block, 100, 8), 8) & 0o100) !== 0;
    this.#handlers.file(this.#tree.file(name), size, executable);
    this.#phase = { kind: "file", left: size, padding };
    if (size === 0) this.#close();
  }

  #openOther(type: string, name: string, to: string): void {
    if (type === FOLDER) return this.#handlers.folder(this.#tree.folder(name));
    if (type !== LINK && type !== HARD_LINK)
      throw new TarError(`"${name}" in the bundle is a device; only files, folders and links are taken`);
    const { path, target } = type === LINK ? this.#tree.link(name, to) : this.#tree.hardLink(name, to);
    if (type === LINK) this.#handlers.link(path, target);
    else this.#handlers.hardLink(path, target);
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
    else this.#long = { ...this.#long, ...longPaths(Buffer.concat(this.#pax)) };
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

interface LongPaths {
  path?: string;
  linkpath?: string;
}

/** Records of a pax header are `length key=value\n`. */
function longPaths(bytes: Buffer): LongPaths {
  const found: LongPaths = {};
  for (let offset = 0; offset < bytes.length; ) {
    const length = Number.parseInt(bytes.toString("latin1", offset, offset + 10), 10);
    if (!(length > 0)) throw new TarError("a pax header in the bundle is broken");
    const record = bytes.toString("utf8", offset, offset + length - 1);
    const [key, value] = record.slice(record.indexOf(" ") + 1).split(/=(.*)/s);
    if (key === "path" || key === "linkpath") found[key] = value ?? "";
    offset += length;
  }
  return found;
}
