import type { IncomingMessage } from "node:http";
import type { BodySource } from "../dispatch/answer.ts";

/** Bodies of a known length up to this are read before a slot is asked for: a slow sender then holds none. */
export const COLLECTED_BYTES = 64 * 1024;

/** -1 when only the end of the body will tell. */
export function declaredBytes(request: IncomingMessage): number {
  const length = request.headers["content-length"];
  if (length !== undefined) return Number(length);
  return request.headers["transfer-encoding"] === undefined ? 0 : -1;
}

/** Reads a body whose length is known and small, then goes on with it. A sender that goes away is the exchange's matter. */
export function collectBody(request: IncomingMessage, bytes: number, done: (body: Buffer) => void): void {
  let first: Buffer | undefined;
  const more: Buffer[] = [];
  request.on("data", (chunk: Buffer) => {
    if (first === undefined) first = chunk;
    else more.push(chunk);
  });
  request.once("end", () =>
    done(more.length === 0 ? (first ?? Buffer.alloc(0)) : Buffer.concat([first!, ...more], bytes)),
  );
}

/** Who must know how the reading goes. */
export interface BodyOwner {
  /** The body is about to be read. */
  bodyWanted(): void;
  bodyTooLarge(limit: number): void;
}

/** A request's body as a source, cut off at the limit. */
export class RequestBody implements BodySource {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  readonly #owner: BodyOwner;
  #bytes = 0;

  constructor(request: IncomingMessage, limit: number, owner: BodyOwner) {
    this.#request = request;
    this.#limit = limit;
    this.#owner = owner;
  }

  start(reader: { chunk(bytes: Buffer): void; end(): void }): void {
    this.#owner.bodyWanted();
    this.#request.on("data", (chunk: Buffer) => {
      const before = this.#bytes;
      this.#bytes += chunk.length;
      if (this.#bytes <= this.#limit) reader.chunk(chunk);
      else if (before <= this.#limit) this.#owner.bodyTooLarge(this.#limit);
    });
    this.#request.once("end", () => {
      if (this.#bytes <= this.#limit) reader.end();
    });
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }
}
