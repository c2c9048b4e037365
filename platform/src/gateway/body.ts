import type { IncomingMessage } from "node:http";
import type { Clock, Timer } from "#base/clock.ts";
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
  /** Nothing came for so long, though it was wanted. */
  bodyStalled(waitedMs: number): void;
}

/** A sender may pause for so long in the middle of a body: meanwhile it holds a slot. */
const STALL_MS = 10_000;

/** A request's body as a source, cut off at the limit. */
export class RequestBody implements BodySource {
  readonly #request: IncomingMessage;
  readonly #limit: number;
  readonly #owner: BodyOwner;
  readonly #clock: Clock;
  #bytes = 0;
  /** Set while bytes are wanted and have not come. */
  #stall: Timer | undefined;

  constructor(deps: { clock: Clock }, request: IncomingMessage, limit: number, owner: BodyOwner) {
    this.#clock = deps.clock;
    this.#request = request;
    this.#limit = limit;
    this.#owner = owner;
  }

  start(reader: { chunk(bytes: Buffer): void; end(): void }): void {
    this.#owner.bodyWanted();
    this.#await();
    this.#request.once("close", () => this.#stopWaiting());
    this.#request.on("data", (chunk: Buffer) => {
      this.#await();
      const before = this.#bytes;
      this.#bytes += chunk.length;
      if (this.#bytes <= this.#limit) reader.chunk(chunk);
      else if (before <= this.#limit) this.#owner.bodyTooLarge(this.#limit);
    });
    this.#request.once("end", () => {
      this.#stopWaiting();
      if (this.#bytes <= this.#limit) reader.end();
    });
  }

  pause(): void {
    this.#stopWaiting();
    this.#request.pause();
  }

  resume(): void {
    if (this.#request.isPaused()) this.#await();
    this.#request.resume();
  }

  #await(): void {
    this.#stopWaiting();
    this.#stall = this.#clock.after(STALL_MS, () => this.#owner.bodyStalled(STALL_MS));
  }

  #stopWaiting(): void {
    if (this.#stall !== undefined) this.#clock.cancel(this.#stall);
    this.#stall = undefined;
  }
}
