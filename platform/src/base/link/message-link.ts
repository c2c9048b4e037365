import { isErrorCode, PlatformError, toFailure } from "#contract/errors.ts";
import type { Frame } from "#contract/link/frame.ts";
import {
  type AnswerOf,
  type EventOf,
  type EventShapes,
  MESSAGE_FRAMES,
  type RequestOf,
  type RequestShapes,
} from "#contract/link/message.ts";
import { anything, object, parse, parseJson, ShapeError, text } from "#contract/shape.ts";
import type { Clock, Timer } from "../clock.ts";
import type { Link, LinkHandlers } from "./link.ts";

/** The four tables of one side: what it asks and hears of the other, what it serves and emits itself. */
export interface Sides<A extends RequestShapes, H extends EventShapes, S extends RequestShapes, E extends EventShapes> {
  readonly asks: A;
  readonly hears: H;
  readonly serves: S;
  readonly emits: E;
}

export type Served<S extends RequestShapes> = {
  readonly [K in keyof S]: (value: RequestOf<S, K>) => Promise<AnswerOf<S, K>> | AnswerOf<S, K>;
};
export type Heard<H extends EventShapes> = { readonly [K in keyof H]: (value: EventOf<H, K>) => void };

export interface MessageCallbacks<H extends EventShapes, S extends RequestShapes> {
  readonly serve: Served<S>;
  readonly hear: Heard<H>;
  readonly closed: (error: Error | undefined) => void;
}

interface Waiting {
  readonly name: string;
  readonly timer: Timer;
  settle(frame: Frame | undefined, failure: PlatformError | undefined): void;
}

const named = object({ name: text(64), value: anything });
const failureShape = object({ code: text(64), message: text() });

/**
 * Requests, answers and events over one link. Owns: the requests waiting for an answer; every one of them ends, by answer,
 * by time or with the link. Does not own: the link's making, nor what messages mean.
 */
export class MessageLink<
  A extends RequestShapes,
  H extends EventShapes,
  S extends RequestShapes,
  E extends EventShapes,
> {
  readonly #clock: Clock;
  readonly #sides: Sides<A, H, S, E>;
  readonly #callbacks: MessageCallbacks<H, S>;
  readonly #waiting = new Map<number, Waiting>();
  #link: Link | undefined;
  #stream = 0;

  constructor(deps: { clock: Clock }, sides: Sides<A, H, S, E>, callbacks: MessageCallbacks<H, S>) {
    this.#clock = deps.clock;
    this.#sides = sides;
    this.#callbacks = callbacks;
  }

  /** For `Network.dial` and `listen`; the link they give is then attached. */
  get handlers(): LinkHandlers {
    return { frame: (frame) => this.#frame(frame), close: (error) => this.#ended(error) };
  }

  attach(link: Link): this {
    this.#link = link;
    return this;
  }

  /** @throws PlatformError: the other side's failure, or `unavailable` when it is gone or silent. */
  ask<K extends keyof A & string>(name: K, value: RequestOf<A, K>, timeoutMs: number): Promise<AnswerOf<A, K>> {
    const link = this.#link;
    if (link === undefined || link.closed)
      return Promise.reject(new PlatformError("unavailable", `the link is closed: ${name} was not sent`));
    const stream = ++this.#stream;
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        this.#settle(
          stream,
          undefined,
          new PlatformError("unavailable", `no answer to ${name} within ${timeoutMs} ms`),
        );
      });
      const settle = (frame: Frame | undefined, failure: PlatformError | undefined) => {
        if (frame === undefined) return reject(failure);
        try {
          resolve(parseJson(this.#sides.asks[name]!.answer, frame.head, name) as AnswerOf<A, K>);
        } catch (error) {
          reject(error);
        }
      };
      this.#waiting.set(stream, { name, timer, settle });
      link.send(MESSAGE_FRAMES.REQUEST, 0, stream, JSON.stringify({ name, value }), null);
    });
  }

  emit<K extends keyof E & string>(name: K, value: EventOf<E, K>): void {
    this.#link?.send(MESSAGE_FRAMES.EVENT, 0, 0, JSON.stringify({ name, value }), null);
  }

  /** Bytes that the other side has not taken yet. */
  get buffered(): number {
    return this.#link?.buffered ?? 0;
  }

  close(reason?: Error): void {
    this.#link?.close(reason);
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
      case MESSAGE_FRAMES.REQUEST:
        void this.#serve(frame.stream, frame.head);
        return;
      case MESSAGE_FRAMES.ANSWER:
        this.#settle(frame.stream, frame, undefined);
        return;
      case MESSAGE_FRAMES.FAILURE:
        this.#settle(frame.stream, undefined, readFailure(frame.head));
        return;
      case MESSAGE_FRAMES.EVENT:
        this.#hear(frame.head);
        return;
      default:
        throw new ShapeError(`a frame of type ${frame.type} is not a message`);
    }
  }

  async #serve(stream: number, head: string): Promise<void> {
    try {
      const { name, value } = parseJson(named, head, "request");
      const shapes = Object.hasOwn(this.#sides.serves, name) ? this.#sides.serves[name] : undefined;
      if (shapes === undefined) throw new PlatformError("request-invalid", `no request ${name} is served here`);
      const answer = await this.#callbacks.serve[name]!(parse(shapes.request, value, name) as never);
      this.#link?.send(MESSAGE_FRAMES.ANSWER, 0, stream, JSON.stringify(answer ?? {}), null);
    } catch (error) {
      const failure =
        error instanceof ShapeError ? { code: "request-invalid", message: error.message } : toFailure(error);
      this.#link?.send(MESSAGE_FRAMES.FAILURE, 0, stream, JSON.stringify(failure), null);
    }
  }

  #hear(head: string): void {
    const { name, value } = parseJson(named, head, "event");
    const shape = Object.hasOwn(this.#sides.hears, name) ? this.#sides.hears[name] : undefined;
    // An event this version does not know comes from a newer sender.
    if (shape !== undefined) this.#callbacks.hear[name]!(parse(shape, value, name) as never);
  }

  #settle(stream: number, frame: Frame | undefined, failure: PlatformError | undefined): void {
    const waiting = this.#waiting.get(stream);
    if (waiting === undefined) return;
    this.#waiting.delete(stream);
    this.#clock.cancel(waiting.timer);
    waiting.settle(frame, failure);
  }

  #ended(error: Error | undefined): void {
    for (const [stream, waiting] of [...this.#waiting]) {
      this.#settle(
        stream,
        undefined,
        new PlatformError("unavailable", `the link closed before ${waiting.name} was answered`),
      );
    }
    this.#callbacks.closed(error);
  }
}

function readFailure(head: string): PlatformError {
  const { code, message } = parseJson(failureShape, head, "failure");
  return new PlatformError(isErrorCode(code) ? code : "internal", message);
}
