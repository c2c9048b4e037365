import {
  type CancelReason,
  GUEST_FRAMES,
  type GuestInvoke,
  guestWindow,
  INITIAL_WINDOW,
} from "#contract/guest/link.ts";
import { FLAG_FIN, type Frame, FrameError } from "#contract/link/frame.ts";
import { parseJson } from "#contract/shape.ts";
import { type Child, ChildFailure, type ChildInvocation } from "./child.ts";
import type { DataStream, Running } from "./data-stream.ts";
import type { Processes } from "./processes.ts";

const END_CANCELLED = JSON.stringify({ outcome: "cancelled" });
/** A child that has not let go of a cancelled invocation by then is killed: the gateway would end the whole sandbox at 1 s. */
const LET_GO_MS = 500;
/** Children that may be lost before one takes it. Nothing of it ran in them. */
const MAXIMUM_ATTEMPTS = 3;
const NO_BYTES = Buffer.alloc(0);

/**
 * An invocation that runs in a process of its own: its frames go to a child and back as they are, but for the stream's number.
 *
 *     waiting ─a child is free→ offered ─ACCEPTED→ running → over
 *        └────────────────────────┴────── CANCEL, or the child is lost ──→ over
 *
 * Owns: the body until the child has accepted. Invariants: 1. exactly one last frame; 2. offered again only if it was not accepted.
 */
export class RelayedInvocation implements Running, ChildInvocation {
  readonly stream: number;
  readonly head: GuestInvoke;
  readonly #arrivedMs = performance.now();
  readonly #link: DataStream;
  readonly #processes: Processes;
  readonly #text: string;
  /** Not yet accepted: they may have to be sent to another child. */
  #held: Buffer[];
  #complete: boolean;
  /** What the gateway may still send. */
  #window = INITIAL_WINDOW;
  #child: Child | undefined;
  #isAccepted = false;
  #attempts = 0;
  #cancelled = false;
  #timer: NodeJS.Timeout | undefined;
  #over = false;

  constructor(processes: Processes, link: DataStream, head: GuestInvoke, frame: Frame) {
    this.#processes = processes;
    this.#link = link;
    this.stream = frame.stream;
    this.head = head;
    this.#text = frame.head;
    this.#held = [frame.body];
    this.#window -= frame.bodyBytes;
    this.#complete = frame.fin;
  }

  run(): void {
    if (!this.#over) this.#processes.run(this);
  }

  /** A child is free. */
  start(child: Child): void {
    this.#child = child;
    this.#attempts++;
    const [first = NO_BYTES, ...more] = this.#held;
    child.invoke(this, this.#text, this.#complete && more.length === 0 ? FLAG_FIN : 0, first);
    for (const [index, piece] of more.entries())
      child.send(GUEST_FRAMES.DATA, this.#complete && index === more.length - 1 ? FLAG_FIN : 0, "", piece);
  }

  receiveBody(piece: Buffer, fin: boolean): void {
    if (this.#complete) throw new FrameError("body after its end");
    this.#window -= piece.length;
    if (this.#window < 0) throw new FrameError("body beyond the window");
    this.#complete = fin;
    if (!this.#isAccepted) this.#held.push(piece);
    this.#child?.send(GUEST_FRAMES.DATA, fin ? FLAG_FIN : 0, "", piece);
  }

  credit(credit: number): void {
    this.#child?.send(GUEST_FRAMES.WINDOW, 0, JSON.stringify({ credit }), null);
  }

  cancel(reason: CancelReason): void {
    if (this.#over) return;
    if (this.#child === undefined) {
      this.#processes.forget(this);
      this.#end(END_CANCELLED);
      return;
    }
    if (!this.#cancelled) this.#child.send(GUEST_FRAMES.CANCEL, 0, JSON.stringify({ reason }), null);
    this.#cancelled = true;
    const child = this.#child;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => child.kill(), LET_GO_MS + (reason === "client" ? this.#remaining() : 0));
  }

  accepted(): void {
    this.#isAccepted = true;
    this.#held = [];
  }

  relay(frame: Frame): void {
    if (frame.type === GUEST_FRAMES.WINDOW) {
      this.#window += parseJson(guestWindow, frame.head, "WINDOW").credit;
      if (this.#window > INITIAL_WINDOW) throw new FrameError("WINDOW gives more than was sent");
    } else if (!this.#isAccepted) this.accepted();
    this.#link.connection.send(frame.type, frame.flags, this.stream, frame.head, frame.body);
    if (frame.last || frame.type === GUEST_FRAMES.END) this.#finished();
  }

  /** The child took nothing: it is about to end. */
  refused(): void {
    const child = this.#child!;
    this.#child = undefined;
    child.release();
    child.kill();
    this.#again("refused the invocation");
  }

  /** Its child has ended. */
  lost(how: string): void {
    const code = this.#child?.endCode ?? "function-exited";
    this.#child = undefined;
    if (this.#over) return;
    if (this.#cancelled) this.#end(END_CANCELLED);
    else if (this.#isAccepted) this.fail(new ChildFailure(code, { name: "Error", message: how }));
    else this.#again(how);
  }

  /** There is no child for it, or no more. */
  fail(failure: ChildFailure): void {
    if (this.#over) return;
    const { code, name, message } = failure;
    if (code === "function-exited" || code === "out-of-memory") this.#processes.report(this.head.id, message);
    this.#end(JSON.stringify({ outcome: "error", code, error: { name, message } }));
  }

  #again(how: string): void {
    if (this.#cancelled) this.#end(END_CANCELLED);
    else if (this.#attempts < MAXIMUM_ATTEMPTS) this.#processes.run(this);
    else this.fail(new ChildFailure("function-exited", { name: "Error", message: how }));
  }

  #remaining(): number {
    return Math.max(0, this.#arrivedMs + this.head.budgetMs - performance.now());
  }

  #end(head: string): void {
    this.#link.connection.send(GUEST_FRAMES.END, 0, this.stream, head, null);
    this.#finished();
  }

  #finished(): void {
    this.#over = true;
    this.#held = [];
    clearTimeout(this.#timer);
    this.#link.over(this);
    const child = this.#child;
    this.#child = undefined;
    if (child !== undefined) this.#processes.released(child);
  }
}
