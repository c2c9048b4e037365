import type { Link } from "#base/link/link.ts";
import type { ErrorCode } from "#contract/errors.ts";
import {
  GUEST_ERROR_CODES,
  GUEST_FRAMES,
  type GuestEnd,
  type GuestHead,
  type GuestInvoke,
  guestEnd,
  guestHead,
  guestMisrouted,
  guestWindow,
  INITIAL_WINDOW,
  MAXIMUM_CHUNK,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import { FLAG_FIN, type Frame } from "#contract/link/frame.ts";
import { parseJson } from "#contract/shape.ts";
import { within } from "./limit.ts";

/** What became of an invocation. `lost`: the stream closed before its end. */
export interface Outcome {
  readonly kind: "ok" | "error" | "cancelled" | "misrouted" | "lost";
  readonly accepted: boolean;
  /** The answer's status, where a HEAD came. */
  readonly status: number | undefined;
  readonly headers: readonly string[];
  readonly body: Buffer;
  /** Of kind `error`. */
  readonly code: ErrorCode | undefined;
  readonly error: { readonly name: string; readonly message: string; readonly stack?: string | undefined } | undefined;
  /** Of kind `misrouted`. */
  readonly reason: MisroutedReason | undefined;
  /** Types of the frames that made it, in order. */
  readonly frames: readonly number[];
}

export interface DrivenInvocationOptions {
  readonly credit: boolean;
  readonly sink: ((chunk: Buffer) => void) | undefined;
}

/** One invocation as its gateway sees it, both directions under their windows. */
export class DrivenInvocation {
  readonly id: string;
  readonly stream: number;
  readonly accepted: Promise<void>;
  readonly head: Promise<GuestHead>;
  readonly outcome: Promise<Outcome>;
  /** Bytes of the answer's body so far. */
  received = 0;
  readonly #link: Link;
  readonly #head: GuestInvoke;
  readonly #options: DrivenInvocationOptions;
  readonly #frames: number[] = [];
  readonly #pieces: Buffer[] = [];
  /** What we may still send, and what the guest may. */
  #sendWindow = INITIAL_WINDOW;
  #receiveWindow = INITIAL_WINDOW;
  #blocked: (() => void)[] = [];
  #isAccepted = false;
  #answer: GuestHead | undefined;
  #finished = false;
  #over = false;
  #accept: () => void = () => {};
  #headArrived: (head: GuestHead) => void = () => {};
  #settle: (outcome: Outcome) => void = () => {};

  constructor(link: Link, stream: number, head: GuestInvoke, options: DrivenInvocationOptions) {
    this.#link = link;
    this.stream = stream;
    this.id = head.id;
    this.#head = head;
    this.#options = options;
    this.accepted = new Promise((resolve) => {
      this.#accept = resolve;
    });
    this.head = new Promise((resolve) => {
      this.#headArrived = resolve;
    });
    this.outcome = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** INVOKE, with as much of the body as fits one frame; the rest follows. */
  open(body: Uint8Array | null, more: boolean): void {
    const first = body === null ? null : body.subarray(0, MAXIMUM_CHUNK);
    const whole = body === null || body.length <= MAXIMUM_CHUNK;
    this.#sendWindow -= first?.length ?? 0;
    const flags = whole && !more ? FLAG_FIN : 0;
    this.#link.send(GUEST_FRAMES.INVOKE, flags, this.stream, JSON.stringify(this.#head), first);
    if (!whole) void (more ? this.write(body.subarray(MAXIMUM_CHUNK)) : this.finish(body.subarray(MAXIMUM_CHUNK)));
  }

  /** Resolves when everything is sent, or the invocation is over. */
  async write(bytes: Uint8Array): Promise<void> {
    for (let from = 0; from < bytes.length && !this.#over; ) {
      if (this.#sendWindow === 0) {
        await new Promise<void>((resolve) => this.#blocked.push(resolve));
        continue;
      }
      const chunk = bytes.subarray(from, from + Math.min(this.#sendWindow, MAXIMUM_CHUNK));
      this.#sendWindow -= chunk.length;
      from += chunk.length;
      this.#link.send(GUEST_FRAMES.DATA, 0, this.stream, "", chunk);
    }
  }

  async finish(bytes: Uint8Array = Buffer.alloc(0)): Promise<void> {
    await this.write(bytes);
    if (!this.#over) this.#link.send(GUEST_FRAMES.DATA, FLAG_FIN, this.stream, "", null);
  }

  /** What the guest would still take of the body. */
  get sendWindow(): number {
    return this.#sendWindow;
  }

  cancel(reason: "client" | "deadline" | "shutdown" = "client"): void {
    this.#link.send(GUEST_FRAMES.CANCEL, 0, this.stream, JSON.stringify({ reason }), null);
  }

  credit(bytes: number): void {
    this.#receiveWindow += bytes;
    this.#link.send(GUEST_FRAMES.WINDOW, 0, this.stream, JSON.stringify({ credit: bytes }), null);
  }

  /** The end, or a failure that says which invocation has none. */
  end(limitMs?: number): Promise<Outcome> {
    return within(this.outcome, `end of invocation ${this.id}`, limitMs);
  }

  accept(): void {
    this.#isAccepted = true;
    this.#accept();
  }

  /** True when the invocation is over. @throws on a breach of the contract. */
  receive(frame: Frame): boolean {
    this.#frames.push(frame.type);
    switch (frame.type) {
      case GUEST_FRAMES.HEAD:
        if (this.#answer !== undefined) throw new Error(`a second HEAD on stream ${this.stream}`);
        this.#answer = parseJson(guestHead, frame.head, "HEAD");
        this.accept();
        this.#headArrived(this.#answer);
        this.#receiveBody(frame);
        break;
      case GUEST_FRAMES.DATA:
        if (this.#answer === undefined) throw new Error(`DATA before HEAD on stream ${this.stream}`);
        this.#receiveBody(frame);
        break;
      case GUEST_FRAMES.WINDOW:
        this.#sendWindow += parseJson(guestWindow, frame.head, "WINDOW").credit;
        if (this.#sendWindow > INITIAL_WINDOW) throw new Error(`credit beyond the window on stream ${this.stream}`);
        for (const go of this.#blocked.splice(0)) go();
        break;
      case GUEST_FRAMES.MISROUTED:
        if (this.#isAccepted) throw new Error(`MISROUTED after ACCEPTED on stream ${this.stream}`);
        this.#finish("misrouted", { reason: parseJson(guestMisrouted, frame.head, "MISROUTED").reason });
        return true;
      case GUEST_FRAMES.END:
        this.accept();
        this.#end(parseJson(guestEnd, frame.head, "END"));
        return true;
      default:
        throw new Error(`a frame of type ${frame.type} on stream ${this.stream}`);
    }
    if (frame.last) this.#end({ outcome: "ok" });
    return frame.last;
  }

  /** The data stream is gone. */
  lose(error: Error | undefined): void {
    this.#finish("lost", error === undefined ? {} : { error });
  }

  #receiveBody(frame: Frame): void {
    if (this.#finished) throw new Error(`body after FIN on stream ${this.stream}`);
    if (frame.bodyBytes > MAXIMUM_CHUNK) throw new Error(`${frame.bodyBytes} bytes of body in one frame`);
    this.#receiveWindow -= frame.bodyBytes;
    if (this.#receiveWindow < 0) throw new Error(`the window of stream ${this.stream} was passed`);
    this.#finished = frame.fin;
    this.received += frame.bodyBytes;
    if (this.#options.sink) this.#options.sink(frame.body);
    else this.#pieces.push(Buffer.from(frame.body));
    if (this.#options.credit && frame.bodyBytes > 0 && !frame.last) this.credit(frame.bodyBytes);
  }

  #end(end: GuestEnd): void {
    if (end.outcome !== "error") {
      if (end.outcome === "ok" && !this.#finished) throw new Error(`END ok before FIN on stream ${this.stream}`);
      this.#finish(end.outcome, {});
      return;
    }
    if (!GUEST_ERROR_CODES.includes(end.code)) throw new Error(`a guest may not report ${end.code}`);
    this.#finish("error", { code: end.code, error: end.error });
  }

  #finish(kind: Outcome["kind"], what: Partial<Outcome>): void {
    this.#over = true;
    for (const go of this.#blocked.splice(0)) go();
    this.#settle({
      kind,
      accepted: this.#isAccepted,
      status: this.#answer?.status,
      headers: this.#answer?.headers ?? [],
      body: Buffer.concat(this.#pieces),
      code: undefined,
      error: undefined,
      reason: undefined,
      frames: this.#frames,
      ...what,
    });
  }
}

/** Values of one header of a flat list. */
export function headerValues(headers: readonly string[], name: string): string[] {
  const values: string[] = [];
  for (let index = 0; index < headers.length; index += 2)
    if (headers[index]?.toLowerCase() === name) values.push(headers[index + 1]!);
  return values;
}
