import type { Link, LinkHandlers } from "#base/link/link.ts";
import type { ErrorCode } from "#contract/errors.ts";
import {
  type CancelReason,
  GUEST_ERROR_CODES,
  GUEST_FRAMES,
  guestEnd,
  guestMisrouted,
  guestWindow,
  INITIAL_WINDOW,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import { FLAG_FIN, type Frame, MAXIMUM_STREAM } from "#contract/link/frame.ts";
import { StreamTable } from "#contract/link/stream-table.ts";
import { parseJson, ShapeError } from "#contract/shape.ts";
import { AnswerHeadError, AnswerHeads } from "./answer-head.ts";
import type { Invocation } from "./invocation.ts";

/** What the stream tells the hops. Each invocation ends with exactly one of `released`, `misrouted` and `closed`. */
export interface StreamEvents {
  /** The guest let go of the slot. */
  released(invocation: Invocation): void;
  /** The guest did not take it: nothing of it ran. */
  misrouted(invocation: Invocation, reason: MisroutedReason): void;
  /** The answer is complete, or has failed: the caller has been told. */
  answered(invocation: Invocation, outcome: "ok" | ErrorCode): void;
  /** The link is gone with these under way. `violation` says how the guest broke the protocol, where it did. */
  closed(running: readonly Invocation[], violation: string | undefined): void;
}

/** Where a data stream is used up: the sandbox is then replaced, since stream numbers must not repeat. */
const STREAMS_PER_LINK = MAXIMUM_STREAM - 1_000_000;
/** Frames that say nothing new: a guest has no reason to send any but a HEAD and a FIN that cross with a cancel, and each costs others time. */
const EMPTY_FRAMES = 1_000;
const EMPTY_FRAMES_PER_STREAM = 2;
/** Credit is given back in portions, so that small chunks do not each cost a frame. */
const CREDIT_PORTION = INITIAL_WINDOW / 4;

/**
 * The data stream to one guest: INVOKE out, answers in. Everything that comes in is hostile input; what breaks the protocol
 * throws, which closes this link and harms no other.
 *
 * Owns: stream numbers, windows, and which invocation each stream carries.
 * Does not own: slots (held-sandbox.ts), deadlines and retries (forward.ts).
 * Invariants: 1. an invocation is in `#running` from INVOKE until the guest lets go of it; 2. nothing is passed to an answer
 * after it was told to end.
 */
export class DataStream {
  readonly #events: StreamEvents;
  readonly #heads = new AnswerHeads();
  readonly #running = new StreamTable<Invocation>();
  #link: Link | null = null;
  #streams = 0;
  /** Every INVOKE up to this stream has been taken or refused. */
  #accepted = 0;
  #emptyFrames = 0;
  #closed = false;

  constructor(events: StreamEvents) {
    this.#events = events;
  }

  get handlers(): LinkHandlers {
    return { frame: (frame) => this.receive(frame), close: (error) => this.#ended(error) };
  }

  attach(link: Link): void {
    this.#link = link;
  }

  get exhausted(): boolean {
    return this.#streams >= STREAMS_PER_LINK;
  }

  get closed(): boolean {
    return this.#closed;
  }

  close(): void {
    this.#link?.close();
  }

  wasAccepted(invocation: Invocation): boolean {
    return invocation.stream <= this.#accepted;
  }

  invoke(invocation: Invocation, budgetMs: number): void {
    const stream = ++this.#streams;
    invocation.stream = stream;
    invocation.receiveWindow = INITIAL_WINDOW;
    this.#running.add(invocation);
    const head = `{"id":"${invocation.id}",${invocation.revision.refText},"budgetMs":${budgetMs},${invocation.headText}}`;
    const body = invocation.body;
    const whole = body === null || (Buffer.isBuffer(body) && body.length <= INITIAL_WINDOW);
    invocation.bodySent = whole;
    invocation.sendWindow = whole && body !== null ? INITIAL_WINDOW - (body as Buffer).length : INITIAL_WINDOW;
    this.#link!.send(GUEST_FRAMES.INVOKE, whole ? FLAG_FIN : 0, stream, head, whole ? (body as Buffer | null) : null);
  }

  data(invocation: Invocation, chunk: Buffer, fin: boolean): void {
    invocation.sendWindow -= chunk.length;
    if (fin) invocation.bodySent = true;
    this.#link?.send(GUEST_FRAMES.DATA, fin ? FLAG_FIN : 0, invocation.stream, "", chunk);
  }

  cancel(invocation: Invocation, reason: CancelReason): void {
    this.#link?.send(GUEST_FRAMES.CANCEL, 0, invocation.stream, JSON.stringify({ reason }), null);
  }

  /** The caller took `bytes` of the answer. */
  credit(invocation: Invocation, bytes: number): void {
    invocation.receiveCredit += bytes;
    if (invocation.receiveCredit < CREDIT_PORTION || this.#closed) return;
    invocation.receiveWindow += invocation.receiveCredit;
    this.#link?.send(GUEST_FRAMES.WINDOW, 0, invocation.stream, `{"credit":${invocation.receiveCredit}}`, null);
    invocation.receiveCredit = 0;
  }

  /** @throws ShapeError on a frame that breaks the protocol. */
  receive(frame: Frame): void {
    const stream = frame.stream;
    if (frame.type === GUEST_FRAMES.ACCEPTED) {
      if (stream <= this.#accepted) this.#onEmpty();
      return this.#onAccepted(stream);
    }
    const invocation = this.#running.get(stream);
    if (invocation === undefined) {
      if (stream === 0 && frame.type === GUEST_FRAMES.MISROUTED)
        throw new ShapeError(`the guest refused the stream: ${frame.head}`);
      if (stream > this.#streams || stream === 0)
        throw new ShapeError(`a frame on stream ${stream}, which was never opened`);
      return this.#onEmpty(); // The guest had not yet heard that it is over.
    }
    switch (frame.type) {
      case GUEST_FRAMES.HEAD:
        this.#onAccepted(stream);
        return this.#onHead(invocation, frame);
      case GUEST_FRAMES.DATA:
        this.#onAccepted(stream);
        return this.#onData(invocation, frame);
      case GUEST_FRAMES.END:
        this.#onAccepted(stream);
        return this.#onEnd(invocation, frame);
      case GUEST_FRAMES.WINDOW:
        return this.#onWindow(invocation, frame);
      case GUEST_FRAMES.MISROUTED:
        return this.#onMisrouted(invocation, frame);
      default:
        throw new ShapeError(`a frame of type ${frame.type} on a data stream`);
    }
  }

  /** Whatever is said of an answer implies it too. */
  #onAccepted(stream: number): void {
    if (stream > this.#streams)
      throw new ShapeError(`ACCEPTED up to stream ${stream}, but only ${this.#streams} were opened`);
    if (stream > this.#accepted) this.#accepted = stream;
  }

  #onEmpty(): void {
    if (++this.#emptyFrames > EMPTY_FRAMES + EMPTY_FRAMES_PER_STREAM * this.#streams)
      throw new ShapeError(`${this.#emptyFrames} frames that say nothing new`);
  }

  #onHead(invocation: Invocation, frame: Frame): void {
    if (invocation.phase === "over") return this.#late(invocation, frame);
    if (invocation.phase === "answering") throw new ShapeError("a second HEAD");
    const body = frame.bodyBytes > 0 ? this.#receiveBody(invocation, frame) : null;
    const last = frame.fin || frame.last;
    try {
      const head = this.#heads.read(frame.head);
      invocation.phase = "answering";
      invocation.status = head.status;
      invocation.answer.head(head, body, last);
      if (last) this.#events.answered(invocation, "ok");
    } catch (error) {
      if (!(error instanceof AnswerHeadError)) throw error;
      this.#fail(invocation, "answer-invalid", error.message);
      if (!frame.last) this.cancel(invocation, "client");
    }
    if (frame.last) this.#release(invocation);
  }

  #onData(invocation: Invocation, frame: Frame): void {
    if (invocation.phase === "over") return this.#late(invocation, frame);
    if (invocation.phase !== "answering") throw new ShapeError("DATA before HEAD");
    if (frame.bodyBytes > 0) invocation.answer.data(this.#receiveBody(invocation, frame));
    else if (!frame.fin && !frame.last) this.#onEmpty();
    // The answer may have found itself longer than it said, or shorter.
    if ((frame.fin || frame.last) && (invocation.phase as string) !== "over") {
      invocation.answer.end();
      if ((invocation.phase as string) !== "over") this.#events.answered(invocation, "ok");
    }
    if (frame.last) this.#release(invocation);
  }

  #onEnd(invocation: Invocation, frame: Frame): void {
    const end = frame.head === "" ? { outcome: "ok" as const } : parseJson(guestEnd, frame.head, "END");
    if (invocation.phase !== "over") {
      if (end.outcome !== "error") throw new ShapeError("END without a complete answer");
      if (!GUEST_ERROR_CODES.includes(end.code))
        throw new ShapeError(`END with code ${end.code}, which is not a guest's to give`);
      this.#fail(invocation, end.code, describe(end.error));
    }
    this.#release(invocation);
  }

  #onWindow(invocation: Invocation, frame: Frame): void {
    invocation.sendWindow += parseJson(guestWindow, frame.head, "WINDOW").credit;
    // Else a guest could have any amount of a body sent to it, and leave it here.
    if (invocation.sendWindow > INITIAL_WINDOW) throw new ShapeError("WINDOW gives more than was sent");
    if (invocation.sendWindow > 0) invocation.resumeBody?.();
  }

  #onMisrouted(invocation: Invocation, frame: Frame): void {
    const { reason } = parseJson(guestMisrouted, frame.head, "MISROUTED");
    if (this.wasAccepted(invocation) && invocation.phase !== "over") throw new ShapeError("MISROUTED after ACCEPTED");
    this.#running.delete(invocation.stream);
    this.#events.misrouted(invocation, reason);
  }

  #receiveBody(invocation: Invocation, frame: Frame): Buffer {
    this.#takeFromWindow(invocation, frame);
    invocation.answerBytes += frame.bodyBytes;
    return frame.body;
  }

  #takeFromWindow(invocation: Invocation, frame: Frame): void {
    invocation.receiveWindow -= frame.bodyBytes;
    if (invocation.receiveWindow < 0) throw new ShapeError("more bytes than the window allows");
  }

  /** The caller has its answer, the guest is still talking. */
  #late(invocation: Invocation, frame: Frame): void {
    this.#takeFromWindow(invocation, frame);
    if (frame.bodyBytes === 0) this.#onEmpty();
    if (frame.last) this.#release(invocation);
  }

  #fail(invocation: Invocation, code: ErrorCode, message: string): void {
    invocation.answer.failed({ code, message });
    this.#events.answered(invocation, code);
  }

  #release(invocation: Invocation): void {
    this.#running.delete(invocation.stream);
    this.#events.released(invocation);
  }

  #ended(error: Error | undefined): void {
    this.#closed = true;
    const running = this.#running.list();
    this.#running.clear();
    this.#events.closed(
      running,
      error instanceof ShapeError || error?.name === "FrameError" ? error.message : undefined,
    );
  }
}

function describe(error: { name: string; message: string }): string {
  return error.name === "" || error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
}
