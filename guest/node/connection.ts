import type { Socket } from "node:net";
import { type Frame, FrameReader } from "#contract/link/frame.ts";
import { FrameWriter } from "#contract/link/frame-writer.ts";

export interface ConnectionHandlers {
  /** May throw: the connection is then closed, and no other harmed. */
  frame(frame: Frame): void;
  /** Every frame of a received chunk was handed over. */
  chunkEnd?(): void;
  /** Something is about to be written. */
  beforeFlush?(): void;
  /** What was waiting has been taken by the other side. */
  drained?(): void;
  /** The other side broke the contract: it is closed, and `closed` follows. */
  broken?(error: unknown): void;
  closed(): void;
}

const NOTHING = Buffer.alloc(0);

/**
 * Frames over one accepted socket, past its preamble.
 *
 * Owns: the socket and what waits to be written. Invariants: 1. frames leave in the order of `send`; 2. those of one turn leave
 * together, at its end or at `flush`; 3. `closed` is told once and nothing after it.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #handlers: ConnectionHandlers;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #flush = () => this.flush();
  #scheduled = false;
  #closed = false;

  constructor(socket: Socket, handlers: ConnectionHandlers) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#reader = new FrameReader((frame) => {
      if (!this.#closed) this.#handlers.frame(frame);
    });
    socket.on("data", (chunk) => this.receive(chunk));
    socket.on("error", () => {});
    socket.on("drain", () => this.#handlers.drained?.());
    socket.once("close", () => this.#end());
  }

  receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk);
      if (!this.#closed) this.#handlers.chunkEnd?.();
    } catch (error) {
      this.#handlers.broken?.(error);
      this.#socket.destroy();
      this.#end();
    }
  }

  send(type: number, flags: number, stream: number, head: string, body: Uint8Array | null): void {
    if (this.#closed) return;
    this.#writer.append(type, flags, stream, head, body);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Writes what waits; the kernel has it when this returns unless `buffered` says otherwise. */
  flush(): void {
    this.#scheduled = false;
    if (this.closed || this.#writer.bytes === 0) return;
    this.#handlers.beforeFlush?.();
    this.#writer.writeTo(this.#socket);
  }

  /** Flushes, and calls back when the kernel has everything: at once, mostly. */
  flushed(action: () => void): void {
    this.flush();
    if (this.closed || this.#socket.writableLength === 0) action();
    else this.#socket.write(NOTHING, () => action());
  }

  /** Bytes that the kernel has not taken yet. */
  get buffered(): number {
    return this.#writer.bytes + this.#socket.writableLength;
  }

  /** Also when a write has failed or the other side has left, before the handlers are told. */
  get closed(): boolean {
    return this.#closed || !this.#socket.writable;
  }

  /** Ends it after what was sent. */
  close(): void {
    this.flush();
    this.#socket.destroySoon();
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers.closed();
  }
}
