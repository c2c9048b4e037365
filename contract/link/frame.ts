/**
 * Framing, the same on every link between processes.
 *
 * A connection opens with an 8-byte preamble from each side, dialer first: `CLBR`, kind, version, two zero bytes. The dialer
 * names the highest version it speaks, the listener answers with the one both will use, or closes. Then frames:
 *
 *     0  u32  length of head and body together, big-endian, at most MAXIMUM_PAYLOAD
 *     4  u8   type
 *     5  u8   flags
 *     6  u32  stream: 0 for the connection itself
 *    10  u32  length of the head
 *    14  head (JSON in UTF-8, may be empty), then body (bytes, may be empty)
 */

export const PREAMBLE_BYTES = 8;
export const HEADER_BYTES = 14;
export const MAXIMUM_PAYLOAD = 1 << 20;
export const MAXIMUM_STREAM = 0xffff_ffff;
export const PROTOCOL_VERSION = 1;

/** What a connection carries; the letter stands in its preamble. */
export const LINK_KINDS = Object.freeze({
  control: "c",
  data: "d",
  agent: "a",
  peer: "p",
  plan: "n",
  report: "r",
  spawner: "s",
});
export type LinkKind = keyof typeof LINK_KINDS;

/** The sender's half of the stream ends with this frame. */
export const FLAG_FIN = 1;
/** From a guest: the invocation is over with this frame, its slot is free (an END without anything to say). */
export const FLAG_LAST = 2;

export class FrameError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "FrameError";
  }
}

export function encodePreamble(kind: LinkKind, version: number = PROTOCOL_VERSION): Buffer {
  return Buffer.from([0x43, 0x4c, 0x42, 0x52, LINK_KINDS[kind].charCodeAt(0), version, 0, 0]);
}

/** @throws FrameError when the bytes are not a preamble. */
export function decodePreamble(bytes: Buffer): { kind: LinkKind; version: number } {
  if (bytes.toString("latin1", 0, 4) !== "CLBR")
    throw new FrameError(`not a Colibri link: it opens with ${bytes.toString("hex", 0, 8)}`);
  const letter = String.fromCharCode(bytes[4] ?? 0);
  const kind = (Object.keys(LINK_KINDS) as LinkKind[]).find((name) => LINK_KINDS[name] === letter);
  const version = bytes[5] ?? 0;
  if (kind === undefined || version === 0)
    throw new FrameError(`unknown kind of link or version 0: ${bytes.toString("hex", 0, 8)}`);
  return { kind, version };
}

/** One frame, a view into the chunk it arrived in: copy what must outlive the chunk's turn only if memory matters. */
export class Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly #chunk: Buffer;
  readonly #head: number;
  readonly #body: number;
  readonly #end: number;

  constructor(type: number, flags: number, stream: number, chunk: Buffer, head: number, body: number, end: number) {
    this.type = type;
    this.flags = flags;
    this.stream = stream;
    this.#chunk = chunk;
    this.#head = head;
    this.#body = body;
    this.#end = end;
  }

  get fin(): boolean {
    return (this.flags & FLAG_FIN) !== 0;
  }

  get last(): boolean {
    return (this.flags & FLAG_LAST) !== 0;
  }

  /** The head's text, "" when there is none. */
  get head(): string {
    return this.#head === this.#body ? "" : this.#chunk.toString("utf8", this.#head, this.#body);
  }

  get bodyBytes(): number {
    return this.#end - this.#body;
  }

  get body(): Buffer {
    return this.#chunk.subarray(this.#body, this.#end);
  }
}

/** Writes the 14 header bytes at `offset`. */
export function writeHeader(
  target: Buffer,
  offset: number,
  type: number,
  flags: number,
  stream: number,
  headBytes: number,
  bodyBytes: number,
): void {
  target.writeUInt32BE(headBytes + bodyBytes, offset);
  target[offset + 4] = type;
  target[offset + 5] = flags;
  target.writeUInt32BE(stream, offset + 6);
  target.writeUInt32BE(headBytes, offset + 10);
}

/** A whole frame in one buffer. For tests, vectors and rare frames; links batch instead (base/link). */
export function encodeFrame(
  type: number,
  flags: number,
  stream: number,
  head: string,
  body: Uint8Array | null,
): Buffer {
  const headBytes = Buffer.byteLength(head);
  const bodyBytes = body?.byteLength ?? 0;
  if (headBytes + bodyBytes > MAXIMUM_PAYLOAD)
    throw new FrameError(`a frame of ${headBytes + bodyBytes} bytes is over ${MAXIMUM_PAYLOAD}`);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + headBytes + bodyBytes);
  writeHeader(frame, 0, type, flags, stream, headBytes, bodyBytes);
  frame.write(head, HEADER_BYTES, "utf8");
  if (body !== null) frame.set(body, HEADER_BYTES + headBytes);
  return frame;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class FrameReader {
  readonly #onFrame: (frame: Frame) => void;
  /** The start of a frame whose rest has not arrived. */
  #pending: Buffer[] = [];
  #pendingBytes = 0;
  /** Bytes of `pending` needed before it is worth joining. */
  #wanted = HEADER_BYTES;

  constructor(onFrame: (frame: Frame) => void) {
    this.#onFrame = onFrame;
  }

  /** @throws FrameError on a frame that breaks the format; the connection must then be closed. */
  push(chunk: Buffer): void {
    let buffer = chunk;
    if (this.#pendingBytes > 0) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.length;
      if (this.#pendingBytes < this.#wanted) return;
      buffer = Buffer.concat(this.#pending, this.#pendingBytes);
      this.#pending = [];
      this.#pendingBytes = 0;
    }
    const rest = this.#cut(buffer);
    if (rest === buffer.length) return;
    this.#pending.push(buffer.subarray(rest));
    this.#pendingBytes = buffer.length - rest;
  }

  /** Emits every complete frame and returns where the incomplete one begins. */
  #cut(buffer: Buffer): number {
    let offset = 0;
    this.#wanted = HEADER_BYTES;
    while (buffer.length - offset >= HEADER_BYTES) {
      const payload = buffer.readUInt32BE(offset);
      const headBytes = buffer.readUInt32BE(offset + 10);
      if (payload > MAXIMUM_PAYLOAD) throw new FrameError(`a frame of ${payload} bytes is over ${MAXIMUM_PAYLOAD}`);
      if (headBytes > payload) throw new FrameError(`a head of ${headBytes} bytes in a frame of ${payload}`);
      const head = offset + HEADER_BYTES;
      const end = head + payload;
      if (end > buffer.length) {
        this.#wanted = HEADER_BYTES + payload;
        return offset;
      }
      this.#onFrame(
        new Frame(
          buffer[offset + 4]!,
          buffer[offset + 5]!,
          buffer.readUInt32BE(offset + 6),
          buffer,
          head,
          head + headBytes,
          end,
        ),
      );
      offset = end;
    }
    return offset;
  }
}
