import type { IncomingMessage } from "node:http";
import type { BodySource } from "../dispatch/answer.ts";

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

/** A request's body as a source, cut off at the limit. */
export class RequestBody implements BodySource {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  readonly #tooLarge: () => void;
  #bytes = 0;

  constructor(request: IncomingMessage, limit: number, tooLarge: () => void) {
    this.#request = request;
    this.#limit = limit;
    this.#tooLarge = tooLarge;
  }

  start(reader: { chunk(bytes: Buffer): void; end(): void }): void {
    this.#request.on("data", (chunk: Buffer) => {
      this.#bytes += chunk.length;
      if (this.#bytes > this.#limit) {
        this.#request.removeAllListeners("data").removeAllListeners("end");
        this.#tooLarge();
      } else reader.chunk(chunk);
    });
    this.#request.once("end", () => reader.end());
  }

  pause(): void {
    this.#request.pause();
  }

  resume(): void {
    this.#request.resume();
  }
}
