import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import { ERRORS, type ErrorCode, type Failure, toFailure } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { Answer, AnswerHead } from "../dispatch/answer.ts";
import type { Invocation } from "../dispatch/invocation.ts";
import type { AsyncClient } from "./async-client.ts";
import type { Dispatch } from "./dispatch.ts";

const RETRY_AFTER_SECONDS = "1";
/** Header values: what is not printable ASCII would not survive everywhere. */
const UNPRINTABLE = /[^\x20-\x7e]+/g;
const LONGEST_MESSAGE = 512;
/** A caller that takes nothing of a finished answer for so long is cut off. */
const TAIL_MS = 60_000;

export interface ExchangeDeps {
  readonly dispatch: Dispatch;
  readonly clock: Clock;
  /** Where asynchronous invocations are handed in. */
  readonly async: AsyncClient;
}

/**
 * One HTTP request and its response, as the answer of an invocation.
 *
 * Owns: the response. Invariants: 1. the response is ended or destroyed exactly once; 2. what the function says can't break
 * out of its own answer: lengths it declares are held, and what it breaks off is broken off for the caller too.
 */
export class Exchange implements Answer {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #deps: ExchangeDeps;
  /** Of the invocation; "" until the edge has made one. */
  id = "";
  #invocation: Invocation | undefined;
  /** Bytes that a streamed answer may still have, where the function declared how many. */
  #left: number | undefined;
  /** Written and not taken by the caller's connection. */
  #stuck = 0;

  constructor(request: IncomingMessage, response: ServerResponse, deps: ExchangeDeps) {
    this.#request = request;
    this.#response = response;
    this.#deps = deps;
  }

  /** Called when dispatch has taken the invocation, perhaps answered already. */
  begin(invocation: Invocation): void {
    this.#invocation = invocation;
    if (invocation.phase === "over") return;
    if (this.#response.destroyed || (this.#request.destroyed && !this.#request.complete))
      return this.#deps.dispatch.leave(invocation);
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

  bodyTooLarge(limit: number): void {
    const invocation = this.#invocation;
    if (!this.#response.headersSent)
      this.refuse("body-too-large", `the body is larger than the ${limit} bytes that this function takes`);
    else this.#response.destroy();
    if (invocation !== undefined) this.#deps.dispatch.leave(invocation);
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
    this.#closeUnread(headers);
    response.writeHead(head.status, headers);
    if (last) {
      if (body === null || bodyless) response.end();
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
      if (this.#left < 0) return void response.destroy();
    }
    if (response.write(chunk)) this.#taken(chunk.length);
    else this.#stick(chunk.length);
  }

  end(): void {
    if (this.#left !== undefined && this.#left > 0) this.#response.destroy();
    else this.#response.end();
    if (this.#response.writableLength > 0) this.#boundTail();
  }

  failed(failure: Failure): void {
    if (this.#response.headersSent) this.#response.destroy();
    else this.refuse(failure.code, failure.message);
  }

  /** The answer is an error of the catalogue. */
  refuse(code: ErrorCode, message: string, more: readonly string[] = []): void {
    const response = this.#response;
    if (response.destroyed || response.headersSent) return;
    const { status, retry, fault } = ERRORS[code];
    const body = JSON.stringify({
      type: `docs/errors.md#${code}`,
      title: ERRORS[code].meaning,
      status,
      code,
      detail: message,
      invocation: this.id,
    });
    const headers = [
      "Content-Type",
      "application/problem+json",
      "Content-Length",
      String(Buffer.byteLength(body)),
      "Colibri-Error-Code",
      code,
      "Colibri-Error-Message",
      printable(message),
    ];
    if (this.id !== "") headers.push("Colibri-Invocation-Id", this.id);
    if (this.#invocation !== undefined) headers.push("Server-Timing", this.#timing());
    if (retry && fault !== "user" && status !== 502) headers.push("Retry-After", RETRY_AFTER_SECONDS);
    headers.push(...more);
    this.#closeUnread(headers);
    response.writeHead(status, headers);
    response.end(body);
  }

  /** A body that nobody will read must not be taken for the next request: the connection ends with this answer. */
  #closeUnread(headers: string[]): void {
    if (!this.#request.complete) headers.push("Connection", "close");
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
    return `wait;dur=${round(wait)}, cold;dur=${round(invocation.coldMs)}, run;dur=${round(run)}`;
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
    if (invocation !== undefined && invocation.phase !== "over") this.#deps.dispatch.leave(invocation);
  }
}

function round(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}

function printable(message: string): string {
  return message.replace(UNPRINTABLE, " ").slice(0, LONGEST_MESSAGE);
}
