import type { Failure } from "#contract/errors.ts";

/** The start of an answer, checked and stripped of what is not the function's to say. */
export interface AnswerHead {
  readonly status: number;
  /** Name, value, name, value. */
  readonly headers: readonly string[];
  /** From the function's Content-Length, where it gave one. */
  readonly bytes: number | undefined;
}

/**
 * Where an invocation's answer goes: an HTTP response, or whatever else asked for it. Exactly one of `head` and `failed` comes
 * first; after `last`, `end` or `failed` nothing more comes.
 */
export interface Answer {
  /** `last`: the body is all there is. */
  head(head: AnswerHead, body: Buffer | null, last: boolean): void;
  data(chunk: Buffer): void;
  end(): void;
  /** Before the head it is the answer; after it, the answer is broken off. */
  failed(failure: Failure): void;
}

/** A body that comes in pieces. Whoever reads must say when it can take more. */
export interface BodySource {
  /** Starts it; `chunk` and then `end` follow, or neither when the sender goes away. */
  start(reader: { chunk(bytes: Buffer): void; end(): void }): void;
  pause(): void;
  resume(): void;
}
