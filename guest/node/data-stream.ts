import {
  type CancelReason,
  type DataWelcome,
  dataHello,
  GUEST_FRAMES,
  type GuestInvoke,
  guestCancel,
  guestWindow,
  MAXIMUM_CHUNK,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import { type Frame, FrameError } from "#contract/link/frame.ts";
import { StreamTable } from "#contract/link/stream-table.ts";
import { parseJson } from "#contract/shape.ts";
import type { Connection } from "./connection.ts";
import type { Guest } from "./guest.ts";
import { Invocation } from "./invocation.ts";

/** An invocation that was taken: it runs here, or is relayed to a process of its own. */
export interface Running {
  readonly stream: number;
  /** ACCEPTED has left. */
  run(): void;
  /** @throws FrameError when the gateway breaks the contract. */
  receiveBody(piece: Buffer, fin: boolean): void;
  credit(bytes: number): void;
  cancel(reason: CancelReason): void;
}

/** What data streams have in common. */
export interface DataDeps {
  readonly guest: Guest;
  /** A gateway has said its epoch: false when it is an old one. */
  greet(stream: DataStream, epoch: number): boolean;
  closed(stream: DataStream): void;
}

/**
 * One gateway's data stream.
 *
 * Owns: the invocations that came by it. Invariants: 1. ACCEPTED has left for the kernel before user code of its invocations
 * runs; 2. streams are numbered upwards, each used once; 3. when the connection goes, everything that runs on it is cancelled.
 */
export class DataStream {
  connection!: Connection;
  epoch = -1;
  readonly guest: Guest;
  readonly #deps: DataDeps;
  readonly #running = new StreamTable<Running>();
  #highest = 0;
  /** Taken in this chunk, not yet run. */
  #taken: Running[] = [];
  #retired = false;

  constructor(deps: DataDeps) {
    this.#deps = deps;
    this.guest = deps.guest;
  }

  receive(frame: Frame): void {
    if (frame.bodyBytes > MAXIMUM_CHUNK) throw new FrameError(`a piece of body of ${frame.bodyBytes} bytes`);
    if (this.epoch < 0) {
      this.#greet(frame);
      return;
    }
    switch (frame.type) {
      case GUEST_FRAMES.INVOKE:
        this.#invoke(frame);
        break;
      case GUEST_FRAMES.DATA:
        this.#known(frame)?.receiveBody(frame.body, frame.fin);
        break;
      case GUEST_FRAMES.WINDOW: {
        const { credit } = parseJson(guestWindow, frame.head, "WINDOW");
        this.#known(frame)?.credit(credit);
        break;
      }
      case GUEST_FRAMES.CANCEL: {
        const { reason } = parseJson(guestCancel, frame.head, "CANCEL");
        this.#known(frame)?.cancel(reason);
        break;
      }
      default:
        throw new FrameError(`a frame of type ${frame.type} on a data stream`);
    }
  }

  /** The chunk's frames are read: tell what was taken, then run it. */
  chunkEnd(): void {
    const taken = this.#taken;
    if (taken.length === 0) return;
    this.#taken = [];
    this.connection.send(GUEST_FRAMES.ACCEPTED, 0, taken[taken.length - 1]!.stream, "", null);
    this.connection.flushed(() => {
      for (const invocation of taken) invocation.run();
    });
  }

  /** An invocation has ended; its last frame is on its way. */
  over(invocation: Running): void {
    this.#running.delete(invocation.stream);
    this.guest.released();
    if (this.#retired && this.#running.size === 0) this.connection.close();
  }

  /** A newer epoch has come: nothing new is taken here, what runs may end. */
  retire(): void {
    this.#retired = true;
    this.#misroute(0, "epoch");
    if (this.#running.size === 0) this.connection.close();
  }

  cancelAll(reason: "client" | "shutdown"): void {
    for (const invocation of this.#running.list()) invocation.cancel(reason);
  }

  closed(): void {
    this.#deps.closed(this);
    this.cancelAll("client");
    // What was taken in this chunk and has not run never will.
    for (const invocation of this.#taken.splice(0)) invocation.run();
  }

  #greet(frame: Frame): void {
    if (frame.type !== GUEST_FRAMES.HELLO || frame.stream !== 0) throw new FrameError("a data stream opens with HELLO");
    this.epoch = parseJson(dataHello, frame.head, "HELLO").epoch;
    if (!this.#deps.greet(this, this.epoch)) {
      this.#retired = true;
      this.#misroute(0, "epoch");
      this.connection.close();
      return;
    }
    const { state, slots, bound } = this.guest;
    const welcome: DataWelcome = { state, slots, bound };
    this.connection.send(GUEST_FRAMES.HELLO, 0, 0, JSON.stringify(welcome), null);
  }

  #invoke(frame: Frame): void {
    const stream = frame.stream;
    if (stream <= this.#highest) throw new FrameError(`stream ${stream} is used twice`);
    this.#highest = stream;
    const head = readInvoke(frame.head);
    const reason = this.#retired ? "epoch" : this.guest.refusal(head);
    if (reason !== undefined) {
      this.#misroute(stream, reason);
      return;
    }
    const { processes } = this.guest;
    const invocation =
      processes === undefined
        ? new Invocation(this, stream, head, frame.body, frame.fin)
        : processes.take(this, head, frame);
    this.guest.active++;
    this.#running.add(invocation);
    this.#taken.push(invocation);
  }

  /** Frames for what is over are late, not wrong. */
  #known(frame: Frame): Running | undefined {
    if (frame.stream === 0 || frame.stream > this.#highest) throw new FrameError(`stream ${frame.stream} is not known`);
    return this.#running.get(frame.stream);
  }

  #misroute(stream: number, reason: MisroutedReason): void {
    this.connection.send(GUEST_FRAMES.MISROUTED, 0, stream, JSON.stringify({ reason }), null);
  }
}

/** The hot path's check: gateways are trusted, so only what would break us later is looked at. */
function readInvoke(text: string): GuestInvoke {
  const head: GuestInvoke | null = JSON.parse(text);
  if (head === null || typeof head.id !== "string" || typeof head.budgetMs !== "number")
    throw new FrameError("INVOKE: expected an id and a budget");
  const request = head.request;
  if (request !== undefined && (typeof request.path !== "string" || !Array.isArray(request.headers)))
    throw new FrameError("INVOKE.request: expected a path and headers");
  return head;
}
