import type { ErrorCode } from "#contract/errors.ts";
import type { GuestInvoke } from "#contract/guest/link.ts";
import { type CancelReason, GUEST_FRAMES, MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import { FLAG_FIN, FLAG_LAST } from "#contract/link/frame.ts";
import { type Answer, HEADS, interpretOutput, isResponse } from "./answer.ts";
import { AnswerError, pieceBytes } from "./answer-bytes.ts";
import { IncomingBody } from "./body.ts";
import type { Connection } from "./connection.ts";
import type { Logger } from "./console.ts";
import { Context, type Invoked } from "./context.ts";
import { createRequest } from "./fetch-request.ts";
import type { LoadedFunction } from "./function.ts";
import { contentTypeOf, decodeInput, InputError } from "./input.ts";
import { OutgoingBody } from "./outgoing.ts";
import { openPieces, type Pieces, responseHead } from "./pieces.ts";
import { type Scope, scopes } from "./scope.ts";
import { describeThrown } from "./thrown.ts";

const END_OK = JSON.stringify({ outcome: "ok" });
const END_CANCELLED = JSON.stringify({ outcome: "cancelled" });
/** What brought an invocation: a data stream, or a test of user code that has none. */
export interface Bringer {
  readonly connection: Pick<Connection, "send">;
  readonly guest: {
    readonly loaded: LoadedFunction | undefined;
    readonly logger: Logger;
    report(scope: Scope, error: unknown): void;
  };
  /** Its last frame is on its way. */
  over(invocation: Invocation): void;
}

type PlainCall = Extract<LoadedFunction, { style: "plain" }>["call"];
type FetchCall = Extract<LoadedFunction, { style: "fetch" }>["call"];

const NO_BYTES = Buffer.alloc(0);

const CANCELLED: Readonly<Record<CancelReason, string>> = {
  client: "the caller has left",
  deadline: "the deadline has passed",
  shutdown: "the sandbox is shutting down",
};

/**
 * One invocation, from INVOKE to its last frame.
 *
 * Owns: its body both ways, its abort signal. Invariants: 1. exactly one last frame (HEAD with LAST, or END) is sent, and nothing
 * after it; 2. the slot is held until user code has settled, also when cancelled; 3. user code runs in this scope.
 */
export class Invocation implements Scope, Invoked {
  readonly stream: number;
  readonly head: GuestInvoke;
  readonly arrivedMs = performance.now();
  readonly #link: Bringer;
  /** The body when it came whole, else what is still arriving. */
  #whole: Buffer;
  #incoming: IncomingBody | undefined;
  #outgoing: OutgoingBody | undefined;
  #pieces: Pieces | undefined;
  #abort: AbortController | undefined;
  /** Held because its signal, which follows ours, is forgotten with it, listeners and all (nodejs/node#55428). */
  #request: Request | undefined;
  #cancelled: Error | undefined;
  #over = false;

  constructor(link: Bringer, stream: number, head: GuestInvoke, body: Buffer, fin: boolean) {
    this.#link = link;
    this.stream = stream;
    this.head = head;
    this.#whole = body;
    if (fin) return;
    this.#incoming = new IncomingBody((credit) => {
      if (!this.#over) link.connection.send(GUEST_FRAMES.WINDOW, 0, stream, JSON.stringify({ credit }), null);
    });
    this.#incoming.push(body, false);
    this.#whole = NO_BYTES;
  }

  get id(): string {
    return this.head.id;
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      if (this.#cancelled !== undefined) this.#abort.abort(this.#cancelled);
    }
    return this.#abort.signal;
  }

  run(): void {
    if (this.#cancelled !== undefined) this.#end(END_CANCELLED);
    else if (this.#link.guest.loaded!.style === "fetch") scopes.run(this, runFetch, this);
    else if (this.#incoming === undefined) scopes.run(this, runPlain, this, this.#whole);
    else this.#collect(this.#incoming);
  }

  receiveBody(piece: Buffer, fin: boolean): void {
    if (this.#incoming === undefined) throw new Error("body after its end");
    this.#incoming.push(piece, fin);
  }

  credit(bytes: number): void {
    this.#outgoing?.credit(bytes);
  }

  cancel(reason: CancelReason): void {
    if (this.#over || this.#cancelled !== undefined) return;
    const error = new Error(CANCELLED[reason]);
    error.name = "AbortError";
    this.#cancelled = error;
    scopes.run(this, () => this.#stop(error));
  }

  fail(error: unknown): boolean {
    if (this.#over) return false;
    this.#endWithError("function-error", error);
    this.#stop(error instanceof Error ? error : new Error(String(error)));
    return true;
  }

  /** For the runners below. */
  callPlain(body: Buffer): unknown {
    const input = decodeInput(contentTypeOf(this.head), body);
    this.#whole = NO_BYTES;
    const loaded = this.#link.guest.loaded!;
    return (loaded.call as PlainCall)(input, this.#context());
  }

  callFetch(): unknown {
    this.#request = createRequest(this, this.#incoming ?? this.#whole);
    const loaded = this.#link.guest.loaded!;
    return (loaded.call as FetchCall)(this.#request, this.#context());
  }

  /** The handler has answered. */
  answer(output: unknown): void {
    if (this.#over) return;
    let answer: Answer;
    try {
      answer = interpretOutput(output);
    } catch (error) {
      this.threw(error instanceof AnswerError ? error : new AnswerError(describeThrown(error).message));
      return;
    }
    if (answer.kind === "whole") this.#answerWhole(answer.head, answer.body);
    else void this.#answerPieces(answer);
  }

  answerResponse(output: unknown): void {
    if (isResponse(output)) this.answer(output);
    else this.threw(new AnswerError("fetch answered something that is not a Response"));
  }

  /** The handler, its input or its answer failed. */
  threw(error: unknown): void {
    if (this.#over) return;
    if (this.#cancelled !== undefined) this.#end(END_CANCELLED);
    else if (error instanceof InputError) this.#endWithError("bad-input", error);
    else if (error instanceof AnswerError) this.#endWithError("answer-invalid", error);
    else this.#endWithError("function-error", error);
  }

  #context(): Context {
    return new Context(this, this.#link.guest.logger);
  }

  /** Plain handlers are given their input whole. */
  #collect(incoming: IncomingBody): void {
    const pieces: Buffer[] = [];
    const read = () => {
      if (incoming.failure !== undefined) {
        incoming.onChange(undefined);
        this.threw(incoming.failure);
        return;
      }
      for (const piece of incoming.take()) pieces.push(piece);
      if (!incoming.ended) return;
      incoming.onChange(undefined);
      scopes.run(this, runPlain, this, Buffer.concat(pieces));
    };
    incoming.onChange(read);
    read();
  }

  #answerWhole(head: string, body: Uint8Array | null): void {
    if (this.#cancelled !== undefined) this.#end(END_CANCELLED);
    else if (body !== null && body.length > MAXIMUM_CHUNK) void this.#answerLarge(head, body);
    else {
      this.#link.connection.send(GUEST_FRAMES.HEAD, FLAG_FIN | FLAG_LAST, this.stream, head, body);
      this.#finished();
    }
  }

  async #answerLarge(head: string, body: Uint8Array): Promise<void> {
    const outgoing = this.#open(head);
    if (await outgoing.write(body)) outgoing.finish();
    this.#end(this.#cancelled === undefined ? END_OK : END_CANCELLED);
  }

  async #answerPieces(answer: Exclude<Answer, { kind: "whole" }>): Promise<void> {
    try {
      const complete = await (answer.kind === "response"
        ? this.#sendResponse(answer.response)
        : this.#sendPieces(openPieces(answer.stream)));
      this.#end(complete && this.#cancelled === undefined ? END_OK : END_CANCELLED);
    } catch (error) {
      this.threw(error);
    }
  }

  async #sendResponse(response: Response): Promise<boolean> {
    const head = responseHead(response);
    if (response.body !== null) {
      const pieces = openPieces(response.body);
      if (this.head.request?.method !== "HEAD") return this.#sendPieces(pieces, this.#open(head));
      // What would be streamed to nobody may have no end.
      await pieces.cancel(undefined);
    }
    this.#answerWhole(head, null);
    return true;
  }

  /** The first piece decides the content type; a failure before it can still become an error. */
  async #sendPieces(pieces: Pieces, opened?: OutgoingBody): Promise<boolean> {
    this.#pieces = pieces;
    if (this.#cancelled !== undefined) pieces.cancel(this.#cancelled);
    let outgoing = opened;
    for (;;) {
      const { done, value } = await pieces.next();
      if (this.#cancelled !== undefined || this.#over) return false;
      if (done) break;
      const bytes = pieceBytes(value);
      outgoing ??= this.#open(typeof value === "string" ? HEADS.text : HEADS.bytes);
      if (await outgoing.write(bytes)) continue;
      await pieces.cancel(this.#cancelled);
      return false;
    }
    outgoing ??= this.#open(HEADS.bytes);
    outgoing.finish();
    return true;
  }

  #open(head: string): OutgoingBody {
    const outgoing = new OutgoingBody(this.#link.connection, this.stream);
    this.#outgoing = outgoing;
    outgoing.head(head);
    return outgoing;
  }

  /** Everything that waits on behalf of this invocation stops waiting. */
  #stop(reason: Error): void {
    this.#incoming?.fail(reason);
    this.#outgoing?.stop();
    this.#pieces?.cancel(reason);
    this.#abort?.abort(reason);
  }

  #endWithError(code: ErrorCode, error: unknown): void {
    // A bad input is the caller's fault: nothing of it concerns the function's log.
    if (code !== "bad-input") this.#link.guest.report(this, error);
    this.#end(JSON.stringify({ outcome: "error", code, error: describeThrown(error) }));
  }

  #end(head: string): void {
    if (this.#over) return;
    this.#link.connection.send(GUEST_FRAMES.END, 0, this.stream, head, null);
    this.#finished();
  }

  #finished(): void {
    this.#over = true;
    this.#whole = NO_BYTES;
    this.#incoming = undefined;
    this.#request = undefined;
    this.#link.over(this);
  }
}

function runPlain(invocation: Invocation, body: Buffer): void {
  try {
    const output = invocation.callPlain(body);
    if (isThenable(output))
      output.then(
        (value) => invocation.answer(value),
        (error) => invocation.threw(error),
      );
    else invocation.answer(output);
  } catch (error) {
    invocation.threw(error);
  }
}

function runFetch(invocation: Invocation): void {
  try {
    const output = invocation.callFetch();
    if (isThenable(output))
      output.then(
        (value) => invocation.answerResponse(value),
        (error) => invocation.threw(error),
      );
    else invocation.answerResponse(output);
  } catch (error) {
    invocation.threw(error);
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && typeof (value as PromiseLike<unknown>).then === "function";
}
