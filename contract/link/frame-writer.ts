import { FrameError, HEADER_BYTES, MAXIMUM_PAYLOAD, writeHeader } from "./frame.ts";

const SLAB_BYTES = 64 * 1024;
/** Bodies up to this size are copied next to their header; larger ones are passed on as they are. */
const COPY_BYTES = 4 * 1024;

/** What of a socket is needed to write to it. */
interface CorkedSink {
  cork(): void;
  write(piece: Uint8Array): unknown;
  uncork(): void;
}

/**
 * Collects frames and hands them over as few buffers. A slab is filled from front to back and never reused while somebody may
 * still hold a part of it, so what `take` returned may be written at leisure.
 */
export class FrameWriter {
  #slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** Where the piece being filled starts, and where the next byte goes. */
  #start = 0;
  #end = 0;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  /** Bytes waiting to be taken. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `body` must not be changed afterwards. @throws FrameError when head and body are larger than a frame may be. */
  append(type: number, flags: number, stream: number, head: string, body: Uint8Array | null): void {
    const bodyBytes = body === null ? 0 : body.byteLength;
    const copied = bodyBytes <= COPY_BYTES;
    this.#reserve(HEADER_BYTES + head.length * 3 + (copied ? bodyBytes : 0));
    const headBytes = head === "" ? 0 : this.#slab.write(head, this.#end + HEADER_BYTES, "utf8");
    if (headBytes + bodyBytes > MAXIMUM_PAYLOAD)
      throw new FrameError(`a frame of ${headBytes + bodyBytes} bytes is over ${MAXIMUM_PAYLOAD}`);
    writeHeader(this.#slab, this.#end, type, flags, stream, headBytes, bodyBytes);
    this.#end += HEADER_BYTES + headBytes;
    this.#bytes += HEADER_BYTES + headBytes + bodyBytes;
    if (body === null || bodyBytes === 0) return;
    if (copied) {
      this.#slab.set(body, this.#end);
      this.#end += bodyBytes;
    } else {
      this.#cut();
      this.#pieces.push(body);
    }
  }

  /** What was appended since the last time, in order. */
  take(): Uint8Array[] {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return pieces;
  }

  /** All that was appended, in one system call where the socket takes it. */
  writeTo(socket: CorkedSink): void {
    const pieces = this.take();
    if (pieces.length === 1) {
      socket.write(pieces[0]!);
      return;
    }
    socket.cork();
    for (const piece of pieces) socket.write(piece);
    socket.uncork();
  }

  #cut(): void {
    if (this.#end === this.#start) return;
    this.#pieces.push(this.#slab.subarray(this.#start, this.#end));
    this.#start = this.#end;
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#end >= bytes) return;
    this.#cut();
    this.#slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, bytes));
    this.#start = 0;
    this.#end = 0;
  }
}
