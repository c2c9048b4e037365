import type { Failure } from "#contract/errors.ts";
import type { Answer, AnswerHead } from "#platform/dispatch/answer.ts";
import type { Invocation } from "#platform/dispatch/invocation.ts";

/** What a caller has seen so far. */
export type Seen = "nothing" | "head" | "answer" | "failure" | "broken off";

/** Somebody who waits for an answer, and remembers everything that came. */
export class Caller implements Answer {
  readonly id: string;
  readonly #done: () => void;
  #taken: (bytes: number) => void = () => {};
  invocation: Invocation | undefined;
  seen: Seen = "nothing";
  failure: Failure | undefined;
  /** It left, or its gateway died: no answer is owed. */
  gone = false;
  mistakes: string[] = [];

  constructor(id: string, done: () => void) {
    this.id = id;
    this.#done = done;
  }

  begin(invocation: Invocation, taken: (bytes: number) => void): void {
    this.invocation = invocation;
    this.#taken = taken;
  }

  leave(): void {
    this.gone = true;
    this.#done();
  }

  abandon(): void {
    this.gone = true;
  }

  get answered(): boolean {
    return this.seen === "answer" || this.seen === "failure" || this.seen === "broken off";
  }

  head(_head: AnswerHead, body: Buffer | null, last: boolean): void {
    this.#expect("nothing", "a head");
    this.seen = last ? "answer" : "head";
    if (body !== null) this.#taken(body.length);
    if (last) this.#done();
  }

  data(chunk: Buffer): void {
    this.#expect("head", "data");
    this.#taken(chunk.length);
  }

  end(): void {
    this.#expect("head", "an end");
    this.seen = "answer";
    this.#done();
  }

  failed(failure: Failure): void {
    if (this.answered) this.mistakes.push(`a failure after ${this.seen}`);
    this.seen = this.seen === "head" ? "broken off" : "failure";
    this.failure = failure;
    this.#done();
  }

  #expect(seen: Seen, what: string): void {
    if (this.seen !== seen) this.mistakes.push(`${what} after ${this.seen}`);
  }
}
