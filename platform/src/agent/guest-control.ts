import { type Clock, sleep, type Timer } from "#base/clock.ts";
import { createDialer, type Dialed, type Dialer } from "#base/link/dialer.ts";
import type { Link, Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import {
  GUEST_FRAMES,
  type GuestFailed,
  type GuestHello,
  type GuestLoad,
  guestDone,
  guestFailed,
  guestHello,
  guestPong,
  MAXIMUM_CHUNK,
} from "#contract/guest/link.ts";
import { FLAG_FIN, type Frame, FrameError } from "#contract/link/frame.ts";
import { parseJson, ShapeError } from "#contract/shape.ts";

export interface GuestControlEvents {
  hello(hello: GuestHello): void;
  loaded(durationMs: number): void;
  initialised(durationMs: number): void;
  failed(failed: GuestFailed): void;
  /** Entries, as they came. @throws ShapeError */
  log(head: string): void;
  health(state: "answering" | "busy"): void;
  violation(message: string): void;
}

/** How long `init` may take, as the guest is told it. */
export function initOf(timeoutMs: number): { timeoutMs: number } {
  return { timeoutMs: Math.max(1, Math.round(timeoutMs)) };
}

export interface GuestControlOptions {
  readonly address: string;
  readonly pingMs: number;
}

const FIRST_RETRY_MS = 4;
const MAXIMUM_RETRY_MS = 500;
/** Code that the guest has not read yet. */
const MAXIMUM_BUFFERED = 1 << 20;
const BUFFERED_POLL_MS = 2;

/**
 * The control stream of one guest, kept up for as long as the sandbox is.
 *
 * Owns: the link, pings. Does not own: what state the guest should be in (domain/sandbox).
 * Invariants: 1. everything the guest sends is checked before anybody sees it, and the first thing wrong is reported as a
 * violation, after which nothing of that link is heard; 2. what is sent while the link is down is lost: HELLO tells.
 */
export class GuestControl {
  readonly #clock: Clock;
  readonly #options: GuestControlOptions;
  readonly #events: GuestControlEvents;
  readonly #dialer: Dialer;
  #link: Link | undefined;
  /** Settles with the link. */
  #ended: Promise<void> = Promise.resolve();
  #ping: Timer | undefined;
  #sequence = 0;
  #answered = 0;
  #health: "answering" | "busy" = "answering";
  #paused = false;

  constructor(
    deps: { network: Network; clock: Clock; random: Random; log: Log },
    options: GuestControlOptions,
    events: GuestControlEvents,
  ) {
    this.#clock = deps.clock;
    this.#options = options;
    this.#events = events;
    const times = { firstRetryMs: FIRST_RETRY_MS, maximumRetryMs: MAXIMUM_RETRY_MS };
    this.#dialer = createDialer(deps, { address: options.address, kind: "control", ...times }, () => this.#dialed());
  }

  open(): void {
    this.#dialer.open();
    this.#pingLater();
  }

  async close(): Promise<void> {
    if (this.#ping !== undefined) this.#clock.cancel(this.#ping);
    this.#ping = undefined;
    await this.#dialer.close();
  }

  /** Its link is up, and no ping is owed. */
  get answers(): boolean {
    return this.#link !== undefined && this.#health === "answering";
  }

  /** Resolves when all that a dead guest had sent has been heard. */
  get ended(): Promise<void> {
    return this.#ended;
  }

  /** While it is frozen nobody expects an answer. */
  pause(paused: boolean): void {
    this.#paused = paused;
    this.#answered = this.#sequence;
  }

  /** @throws FrameError when the environment is larger than a frame; whatever `code` throws. */
  async load(load: GuestLoad, code: AsyncIterable<Uint8Array> | undefined): Promise<void> {
    const link = this.#link;
    if (link === undefined) return;
    link.send(GUEST_FRAMES.LOAD, 0, 0, JSON.stringify(load), null);
    if (code === undefined) return;
    for await (const piece of code) {
      for (let start = 0; start < piece.byteLength; start += MAXIMUM_CHUNK)
        link.send(GUEST_FRAMES.CODE, 0, 0, "", piece.subarray(start, start + MAXIMUM_CHUNK));
      while (link.buffered > MAXIMUM_BUFFERED && !link.closed) await sleep(this.#clock, BUFFERED_POLL_MS);
    }
    link.send(GUEST_FRAMES.CODE, FLAG_FIN, 0, "", null);
  }

  init(timeoutMs: number): void {
    this.#link?.send(GUEST_FRAMES.INIT, 0, 0, JSON.stringify(initOf(timeoutMs)), null);
  }

  drain(graceMs: number): void {
    this.#link?.send(GUEST_FRAMES.DRAIN, 0, 0, JSON.stringify({ graceMs }), null);
  }

  #dialed(): Dialed {
    const ended = Promise.withResolvers<void>();
    let greeted = false;
    let mine: Link | undefined;
    return {
      opened: (link) => {
        mine = link;
        this.#link = link;
        this.#ended = ended.promise;
        this.#answered = this.#sequence;
      },
      frame: (frame) => {
        if (greeted !== (frame.type !== GUEST_FRAMES.HELLO))
          throw new ShapeError(greeted ? "a second HELLO" : `frame type ${frame.type} before HELLO`);
        greeted = true;
        this.#frame(frame);
      },
      close: (error) => {
        if (this.#link === mine) this.#link = undefined;
        ended.resolve();
        if (error instanceof FrameError || error instanceof ShapeError) this.#events.violation(error.message);
      },
    };
  }

  #frame(frame: Frame): void {
    switch (frame.type) {
      case GUEST_FRAMES.HELLO:
        return this.#events.hello(parseJson(guestHello, frame.head, "HELLO"));
      case GUEST_FRAMES.LOADED:
        return this.#events.loaded(parseJson(guestDone, frame.head, "LOADED").durationMs);
      case GUEST_FRAMES.READY:
        return this.#events.initialised(parseJson(guestDone, frame.head, "READY").durationMs);
      case GUEST_FRAMES.FAILED:
        return this.#failed(parseJson(guestFailed, frame.head, "FAILED"));
      case GUEST_FRAMES.PONG:
        return this.#pong(parseJson(guestPong, frame.head, "PONG").sequence);
      case GUEST_FRAMES.LOG:
        return this.#events.log(frame.head);
      default:
        throw new ShapeError(`a guest does not send frames of type ${frame.type} on its control stream`);
    }
  }

  #failed(failed: GuestFailed): void {
    const code = `${failed.phase}-failed`;
    if (failed.code !== code) throw new ShapeError(`FAILED.code: expected ${code}, got ${failed.code}`);
    this.#events.failed(failed);
  }

  #pingLater(): void {
    this.#ping = this.#clock.after(this.#options.pingMs, () => {
      this.#pingLater();
      if (this.#link === undefined || this.#paused) return;
      if (this.#answered < this.#sequence) this.#tell("busy");
      this.#link.send(GUEST_FRAMES.PING, 0, 0, JSON.stringify({ sequence: ++this.#sequence }), null);
    });
  }

  #pong(sequence: number): void {
    if (sequence > this.#sequence) throw new ShapeError(`PONG ${sequence} answers no PING`);
    this.#answered = Math.max(this.#answered, sequence);
    if (this.#answered === this.#sequence) this.#tell("answering");
  }

  #tell(health: "answering" | "busy"): void {
    if (health === this.#health) return;
    this.#health = health;
    this.#events.health(health);
  }
}
