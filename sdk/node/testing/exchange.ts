/**
 * One invocation of user code in this process, by the guest's own code: this is the gateway's side of it, without a socket.
 *
 * Owns: the windows both ways, the deadline, what came back. 1. It settles once, at the latest a second after the deadline.
 */
import type { ErrorCode } from "#contract/errors.ts";
import {
  GUEST_FRAMES,
  type GuestEnd,
  type GuestHead,
  type GuestInvoke,
  INITIAL_WINDOW,
  MAXIMUM_CHUNK,
} from "#contract/guest/link.ts";
import { pieceBytes } from "#guest/node/answer-bytes.ts";
import type { LoadedFunction } from "#guest/node/function.ts";
import { type Bringer, Invocation } from "#guest/node/invocation.ts";
import type { Sent } from "./input.ts";
import { logger, reportThrown } from "./output.ts";
import type { TestError } from "./types.ts";

/** What the platform leaves user code after the deadline before it kills the sandbox. */
const GRACE_MS = 1_000;

export interface ExchangeOptions {
  readonly signal: AbortSignal | undefined;
  readonly onPiece: ((piece: Uint8Array) => void) | undefined;
}

/** `head` is absent when it failed before the answer began. */
export interface Exchanged {
  readonly head: GuestHead | undefined;
  readonly pieces: readonly Uint8Array[];
  readonly error: (TestError & { readonly code: ErrorCode }) | undefined;
}

export function exchange(
  loaded: LoadedFunction,
  given: GuestInvoke,
  body: Sent["body"],
  options: ExchangeOptions,
): Promise<Exchanged> {
  return new Exchange(loaded, given, options).run(body);
}

class Exchange implements Bringer {
  readonly connection = { send: this.#receive.bind(this) };
  readonly guest: Bringer["guest"];
  readonly #given: GuestInvoke;
  readonly #options: ExchangeOptions;
  readonly #pieces: Uint8Array[] = [];
  #invocation!: Invocation;
  #head: GuestHead | undefined;
  #end: GuestEnd | undefined;
  #late = false;
  #abandoned = false;
  #window = INITIAL_WINDOW;
  #wake: () => void = () => {};
  #over = false;
  #settle: () => void = () => {};

  constructor(loaded: LoadedFunction, given: GuestInvoke, options: ExchangeOptions) {
    this.guest = { loaded, logger, report: reportThrown };
    this.#given = given;
    this.#options = options;
  }

  async run(body: Sent["body"]): Promise<Exchanged> {
    const { signal } = this.#options;
    const settled = new Promise<void>((resolve) => {
      this.#settle = resolve;
    });
    const whole = body instanceof Uint8Array && body.length <= MAXIMUM_CHUNK;
    const first = whole ? Buffer.from(body) : Buffer.alloc(0);
    this.#invocation = new Invocation(this, 1, this.#given, first, whole);
    const leave = () => this.#invocation.cancel("client");
    signal?.addEventListener("abort", leave);
    const timers = [setTimeout(() => this.#expire(), this.#given.budgetMs)];
    timers.push(setTimeout(() => this.#abandon(), this.#given.budgetMs + GRACE_MS));
    if (signal?.aborted) leave();
    this.#invocation.run();
    if (!whole) this.#send(body).catch(leave);
    await settled;
    for (const timer of timers) clearTimeout(timer);
    signal?.removeEventListener("abort", leave);
    return { head: this.#head, pieces: this.#pieces, error: this.#error() };
  }

  over(): void {
    this.#over = true;
    this.#wake();
    this.#settle();
  }

  /** User code holds on past the grace: its sandbox would be killed. */
  #abandon(): void {
    this.#abandoned = true;
    this.over();
  }

  #expire(): void {
    this.#late = true;
    this.#invocation.cancel("deadline");
  }

  #receive(type: number, _flags: number, _stream: number, head: string, body: Uint8Array | null): void {
    if (type === GUEST_FRAMES.HEAD) this.#head = JSON.parse(head);
    else if (type === GUEST_FRAMES.END) this.#end = JSON.parse(head);
    else if (type === GUEST_FRAMES.WINDOW) this.#credit(JSON.parse(head).credit);
    if (body !== null && body.length > 0) this.#take(Uint8Array.from(body));
  }

  #take(piece: Uint8Array): void {
    this.#pieces.push(piece);
    this.#options.onPiece?.(piece);
    // As a gateway would: later, when the piece has left.
    queueMicrotask(() => this.#invocation.credit(piece.length));
  }

  #credit(bytes: number): void {
    this.#window += bytes;
    this.#wake();
  }

  /** The body under its window. */
  async #send(body: Sent["body"]): Promise<void> {
    for await (const piece of body instanceof Uint8Array ? [body] : body) {
      const bytes = pieceBytes(piece);
      for (let from = 0; from < bytes.length; ) {
        if (this.#over) return;
        const size = Math.min(this.#window, MAXIMUM_CHUNK, bytes.length - from);
        if (size === 0) await this.#credited();
        else this.#push(bytes.subarray(from, from + size), false);
        from += size;
      }
    }
    if (!this.#over) this.#push(new Uint8Array(0), true);
  }

  #push(bytes: Uint8Array, fin: boolean): void {
    this.#window -= bytes.length;
    this.#invocation.receiveBody(Buffer.from(bytes), fin);
  }

  #credited(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #error(): Exchanged["error"] {
    const end = this.#end;
    if (end?.outcome === "error") return { code: end.code, ...end.error };
    if (!this.#abandoned && end?.outcome !== "cancelled") return undefined;
    const { budgetMs } = this.#given;
    return this.#late
      ? { code: "function-timeout", name: "TimeoutError", message: `the function did not end within ${budgetMs} ms` }
      : { code: "client-closed", name: "AbortError", message: "the caller has left" };
  }
}
