import type { Socket } from "node:net";
import { FrameReader } from "#contract/link/frame.ts";
import { FrameWriter } from "#contract/link/frame-writer.ts";
import type { Link, LinkHandlers } from "./link.ts";

/** For what was sent before a close to be taken. */
const LINGER_MS = 1_000;

/**
 * Frames over a connected stream socket.
 *
 * Owns: the socket and what waits to be written. Does not own: what frames mean.
 * Invariants: 1. frames leave in the order of `send`; 2. what is sent in one turn of the event loop leaves in one system call
 * where the socket takes it; 3. `handlers.close` is called exactly once, and nothing after it.
 */
export class SocketLink implements Link {
  readonly #socket: Socket;
  readonly #handlers: LinkHandlers;
  readonly #reader: FrameReader;
  readonly #writer = new FrameWriter();
  readonly #write = () => this.#flush();
  #scheduled = false;
  #closed = false;
  #error: Error | undefined;

  constructor(socket: Socket, handlers: LinkHandlers, rest: Buffer) {
    this.#socket = socket;
    this.#handlers = handlers;
    this.#reader = new FrameReader((frame) => this.#handlers.frame(frame));
    socket.on("data", (chunk) => this.#receive(chunk));
    socket.on("error", (error) => {
      this.#error ??= error;
    });
    socket.once("close", () => this.#ended());
    setImmediate(() => {
      if (rest.length > 0) this.#receive(rest);
      if (!this.#closed) socket.resume();
    });
  }

  send(type: number, flags: number, stream: number, head: string, body: Uint8Array | null): void {
    if (this.#closed) return;
    this.#writer.append(type, flags, stream, head, body);
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#write);
  }

  #flush(): void {
    this.#scheduled = false;
    if (this.#closed || this.#writer.bytes === 0) return;
    this.#writer.writeTo(this.#socket);
  }

  get buffered(): number {
    return this.#writer.bytes + this.#socket.writableLength;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(reason?: Error): void {
    if (this.#closed) return;
    this.#error ??= reason;
    this.#flush();
    this.#socket.destroySoon();
    // A peer that reads nothing must not hold it open.
    setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
  }

  #receive(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#reader.push(chunk);
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error));
      this.#socket.destroy();
    }
  }

  #ended(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handlers.close(this.#error);
  }
}
