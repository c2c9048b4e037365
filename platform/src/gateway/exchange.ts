import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { roundToMicroseconds } from "#base/clock.ts";
import { count } from "#contract/count.ts";
import { ERRORS, type ErrorCode, type Failure, toFailure } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { Answer, AnswerHead } from "../dispatch/answer.ts";
import type { Invocation } from "../dispatch/invocation.ts";
import type { AsyncClient } from "./async-client.ts";
import { type BodyOwner, COLLECTED_BYTES, declaredBytes } from "./body.ts";
import type { Dispatch } from "./dispatch.ts";
import { problemHeaders, problemText } from "./problem.ts";

const RETRY_AFTER_SECONDS = "1";
/** A caller that takes nothing of a finished answer for so long is cut off. */
const TAIL_MS = 60_000;
/** How long the rest of a body that nobody wants is taken and thrown away, so that its sender gets to read the answer. */
const LINGER_MS = 2_000;

export interface ExchangeDeps {
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  /** Where asynchronous invocations are handed in. */
  readonly async: AsyncClient;
}

/** What is known of a request while it is answered, and when it has been. */
export interface Followed {
  /** Of the invocation; "" until the edge has made one. */
  readonly id: string;
  /** Undefined until dispatch has it, and where it never gets there. */
  readonly invocation: Invocation | undefined;
  /** What the caller was told instead of an answer, or would have been if none had begun. */
  readonly failure: Failure | undefined;
}

/**
 * One HTTP request and its response, as the answer of an invocation.
 *
 * Owns: the response. Invariants: 1. the response is ended or destroyed exactly once; 2. what the function says can't break
 * out of its own answer: lengths it declares are held, and what it breaks off is broken off for the caller too.
 */
export class Exchange implements Answer, BodyOwner, Followed {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  /** The caller waits for word before it sends the body. */
  readonly #continues: boolean;
  readonly #deps: ExchangeDeps;
  id = "";
  failure: Failure | undefined;
  #invocation: Invocation | undefined;
  /** Bytes that a streamed answer may still have, where the function declared how many. */
  #left: number | undefined;
  /** Written and not taken by the caller's connection. */
  #stuck = 0;

  constructor(request: IncomingMessage, response: ServerResponse, continues: boolean, deps: ExchangeDeps) {
    this.#request = request;
    this.#response = response;
    this.#continues = continues;
    this.#deps = deps;
  }

  get invocation(): Invocation | undefined {
    return this.#invocation;
  }

  /** Called when dispatch has taken the invocation, perhaps answered already. */
  begin(invocation: Invocation): void {
    this.#invocation = invocation;
    if (invocation.phase === "over") return;
    if (this.#response.destroyed || this.#requestLost()) return this.#deps.dispatch.leave(invocation, "client-closed");
    this.#response.on("close", () => this.#closed());
  }

  health(ready: boolean): void {
    this.#response
      .writeHead(ready ? 200 : 503, ["Content-Type", "text/plain", "Cache-Control", "no-store"])
      .end(ready ? "ok\n" : "no plan yet\n");
  }

  /** `Prefer: respond-async`: handed to the async role, whose word is the answer. */
  submitLater(ref: FunctionRef): void {
    this.#deps.async.submit({ id: this.id, ...ref }).catch((error) => {
      const { code, message } = toFailure(error);
      this.refuse(code, message);
    });
  }

  /** Not before: a refusal takes the place of `100 Continue`, and the body is then never sent. */
  bodyWanted(): void {
    if (this.#continues) this.#response.writeContinue();
  }

  bodyTooLarge(limit: number): void {
    this.#refuseBody("body-too-large", `the body is larger than the ${count(limit, "byte")} that this function takes`);
  }

  bodyStalled(waitedMs: number): void {
    this.#refuseBody("request-timeout", `nothing of the body came for ${waitedMs} ms`);
  }

  #refuseBody(code: "body-too-large" | "request-timeout", message: string): void {
    const invocation = this.#invocation;
    // An answer that is complete, or will be, is not lost because of the rest of the body.
    if (invocation !== undefined && invocation.phase === "over") return;
    if (!this.#response.headersSent) this.refuse(code, message);
    else this.#response.destroy();
    if (invocation !== undefined) this.#deps.dispatch.leave(invocation, code);
  }

  head(head: AnswerHead, body: Buffer | null, last: boolean): void {
    const response = this.#response;
    if (response.destroyed) return;
    const headers = [...head.headers, "Colibri-Invocation-Id", this.id, "Server-Timing", this.#timing()];
    const bodyless = head.status === 204 || head.status === 304;
    if (last && !bodyless)
      headers.push(
        "Content-Length",
        String(this.#request.method === "HEAD" ? (head.bytes ?? body?.length ?? 0) : (body?.length ?? 0)),
      );
    else if (!last && head.bytes !== undefined && !bodyless) {
      headers.push("Content-Length", String(head.bytes));
      this.#left = this.#request.method === "HEAD" ? undefined : head.bytes;
    }
    const unread = this.#unread();
    if (unread) headers.push("Connection", "close");
    response.writeHead(head.status, headers);
    if (last) {
      if (unread) this.#endUnread(bodyless ? null : body);
      else if (body === null || bodyless) response.end();
      else response.end(body);
      if (response.writableLength > 0) this.#boundTail();
      return;
    }
    response.flushHeaders();
    if (body !== null) this.data(body);
  }

  data(chunk: Buffer): void {
    const response = this.#response;
    if (response.destroyed) return;
    if (this.#left !== undefined) {
      this.#left -= chunk.length;
      if (this.#left < 0) return this.#breakOff();
    }
    if (response.write(chunk)) this.#taken(chunk.length);
    else this.#stick(chunk.length);
  }

  end(): void {
    if (this.#left !== undefined && this.#left > 0) return this.#breakOff();
    this.#response.end();
    if (this.#response.writableLength > 0) this.#boundTail();
  }

  failed(failure: Failure): void {
    this.failure = failure;
    if (this.#response.headersSent) this.#cutOff();
    else this.refuse(failure.code, failure.message);
  }

  /** The answer is an error of the catalogue. */
  refuse(code: ErrorCode, message: string, more: readonly string[] = []): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    this.failure = { code, message };
    const { status, retry, fault } = ERRORS[code];
    const body = problemText(code, message, this.id);
    const headers = problemHeaders(code, message, body);
    if (this.id !== "") headers.push("Colibri-Invocation-Id", this.id);
    if (this.#invocation !== undefined) headers.push("Server-Timing", this.#timing());
    if (retry && fault !== "user" && status !== 502) headers.push("Retry-After", RETRY_AFTER_SECONDS);
    headers.push(...more);
    const unread = this.#unread();
    if (unread) headers.push("Connection", "close");
    response.writeHead(status, headers);
    if (unread) this.#endUnread(body);
    else response.end(body);
  }

  /** Broken off amid its body. Without a body it counts as read from the start, and as destroyed too. */
  #requestLost(): boolean {
    const request = this.#request;
    return request.destroyed && !request.complete && !request.readableEnded;
  }

  /** Whether so much of the body may still come that the connection is better given up than read to its end. */
  #unread(): boolean {
    if (this.#request.complete) return false;
    const bytes = declaredBytes(this.#request);
    return bytes === -1 || bytes > COLLECTED_BYTES;
  }

  /** To close on somebody who is still sending resets the connection, and may take the answer with it. */
  #endUnread(body: Buffer | string | null): void {
    const response = this.#response;
    response.flushHeaders();
    if (body !== null) response.write(body);
    // One that waits for word sends nothing.
    if (this.#continues && this.#invocation === undefined) return void response.end();
    const end = () => {
      this.#deps.clock.cancel(timer);
      response.end();
    };
    const timer = this.#deps.clock.after(LINGER_MS, end);
    this.#request.once("close", end).resume();
  }

  /** The function did not keep to the length that it declared. */
  #breakOff(): void {
    this.#cutOff();
    if (this.#invocation !== undefined) this.#deps.dispatch.leave(this.#invocation, "answer-invalid");
  }

  /** What was written still reaches the caller; the end of the answer does not. */
  #cutOff(): void {
    const { socket } = this.#response;
    if (socket === null) return void this.#response.destroy();
    this.#boundTail();
    socket.destroySoon();
  }

  /** What is still to be sent must not be held for a caller who reads nothing. */
  #boundTail(): void {
    this.#response.setTimeout(TAIL_MS, () => this.#response.destroy());
  }

  #timing(): string {
    const invocation = this.#invocation;
    if (invocation === undefined || invocation.forwardedAt === 0) return "wait;dur=0";
    const wait = invocation.forwardedAt - invocation.startedAt;
    const run = this.#deps.clock.monotonic() - invocation.forwardedAt;
    return `wait;dur=${roundToMicroseconds(wait)}, cold;dur=${roundToMicroseconds(invocation.coldMs)}, run;dur=${roundToMicroseconds(run)}`;
  }

  #taken(bytes: number): void {
    if (this.#invocation !== undefined) this.#deps.dispatch.taken(this.#invocation, bytes);
  }

  #stick(bytes: number): void {
    if (this.#stuck === 0) {
      this.#response.once("drain", () => {
        const taken = this.#stuck;
        this.#stuck = 0;
        this.#taken(taken);
      });
    }
    this.#stuck += bytes;
  }

  #closed(): void {
    const invocation = this.#invocation;
    if (invocation !== undefined && invocation.phase !== "over") this.#deps.dispatch.leave(invocation, "client-closed");
  }
}
