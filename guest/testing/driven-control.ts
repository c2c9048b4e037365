import type { Link } from "#base/link/link.ts";
import {
  GUEST_FRAMES,
  type GuestFailed,
  type GuestHello,
  type GuestLoad,
  guestDone,
  guestFailed,
  guestHello,
  guestLog,
  guestPong,
  MAXIMUM_CHUNK,
} from "#contract/guest/link.ts";
import { FLAG_FIN, type Frame } from "#contract/link/frame.ts";
import type { RevisionRef } from "#contract/names.ts";
import { parseJson, type Shape } from "#contract/shape.ts";
import { until, within } from "./limit.ts";

export const REVISION: RevisionRef = { tenant: "default", app: "shop", function: "thumbnail", revision: "r1" };

export type LoadOptions = Partial<Omit<GuestLoad, "handler">>;

/** One entry of a LOG frame. */
export interface LogEntry {
  readonly atMs: number;
  readonly stream: "stdout" | "stderr";
  readonly level: "debug" | "info" | "warn" | "error";
  readonly invocation?: string | undefined;
  readonly text: string;
  readonly truncated?: boolean | undefined;
}

export type Loaded = { kind: "loaded"; durationMs: number } | { kind: "failed"; failed: GuestFailed };
export type Ready = { kind: "ready"; durationMs: number } | { kind: "failed"; failed: GuestFailed };

interface Waiter {
  readonly accepts: (frame: Reply) => boolean;
  readonly resolve: (frame: Reply) => void;
  readonly reject: (error: Error) => void;
}

type Reply =
  | { type: "hello"; value: GuestHello }
  | { type: "loaded" | "ready"; value: { durationMs: number } }
  | { type: "pong"; value: { sequence: number; active: number } }
  | { type: "failed"; value: GuestFailed };

/** The agent's end of a control stream. Keeps every log entry it was sent. */
export class DrivenControl {
  readonly logs: LogEntry[] = [];
  dropped = 0;
  /** How many log entries had come before the last FAILED. */
  loggedBeforeFailed = 0;
  readonly closed: Promise<Error | undefined>;
  readonly greeted: Promise<GuestHello>;
  hello!: GuestHello;
  #link!: Link;
  #waiters: Waiter[] = [];
  /** Answers that came before anybody waited for them. */
  #early: Reply[] = [];
  #ended: (error: Error | undefined) => void = () => {};
  #sequence = 0;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.greeted = this.#reply((reply) => reply.type === "hello").then((reply) => {
      this.hello = reply.value as GuestHello;
      return this.hello;
    });
    this.greeted.catch(() => {});
  }

  attach(link: Link): void {
    this.#link = link;
  }

  /** LOAD by mount, unless `options.code` says otherwise. */
  load(handler: string, path: string, options: LoadOptions = {}): Promise<Loaded> {
    this.sendLoad(handler, path, options);
    return this.loaded();
  }

  sendLoad(handler: string, path: string, options: LoadOptions = {}): void {
    this.send(GUEST_FRAMES.LOAD, {
      ...REVISION,
      code: { kind: "mount", path },
      handler,
      environment: {},
      concurrency: 20,
      execution: "loop",
      memoryMiB: 128,
      timeoutMs: 30_000,
      ...options,
    });
  }

  /** The answer to a LOAD, sent on this control stream or an earlier one. */
  async loaded(): Promise<Loaded> {
    const reply = await within(
      this.#reply((reply) => reply.type === "loaded" || (reply.type === "failed" && reply.value.phase === "load")),
      "LOADED or FAILED",
    );
    return reply.type === "failed"
      ? { kind: "failed", failed: reply.value }
      : { kind: "loaded", durationMs: (reply.value as { durationMs: number }).durationMs };
  }

  /** CODE frames: a bundle's bytes after a LOAD whose code is `bytes`. */
  sendCode(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length || from === 0; from += MAXIMUM_CHUNK) {
      const last = from + MAXIMUM_CHUNK >= bytes.length;
      this.#link.send(GUEST_FRAMES.CODE, last ? FLAG_FIN : 0, 0, "", bytes.subarray(from, from + MAXIMUM_CHUNK));
    }
  }

  init(timeoutMs = 5_000): Promise<Ready> {
    this.send(GUEST_FRAMES.INIT, { timeoutMs });
    return this.initialised();
  }

  /** The answer to INIT, or to a LOAD that carried it. */
  async initialised(): Promise<Ready> {
    const reply = await within(
      this.#reply((reply) => reply.type === "ready" || (reply.type === "failed" && reply.value.phase === "init")),
      "READY or FAILED",
    );
    return reply.type === "failed"
      ? { kind: "failed", failed: reply.value }
      : { kind: "ready", durationMs: (reply.value as { durationMs: number }).durationMs };
  }

  /** @returns how many invocations run. */
  async ping(limitMs = 10_000): Promise<number> {
    const sequence = ++this.#sequence;
    this.send(GUEST_FRAMES.PING, { sequence });
    const pong = this.#reply((reply) => reply.type === "pong" && reply.value.sequence === sequence);
    return ((await within(pong, "PONG", limitMs)) as { value: { active: number } }).value.active;
  }

  drain(graceMs = 5_000): void {
    this.send(GUEST_FRAMES.DRAIN, { graceMs });
  }

  /** The first entry, past or coming, that the condition accepts. */
  async log(accepts: (entry: LogEntry) => boolean, what: string): Promise<LogEntry> {
    await until(() => this.logs.some(accepts), `log entry (${what}), but ${JSON.stringify(this.logs).slice(0, 2_000)}`);
    return this.logs.find(accepts)!;
  }

  send(type: number, head: unknown): void {
    this.#link.send(type, 0, 0, JSON.stringify(head), null);
  }

  close(): void {
    this.#link.close();
  }

  receive(frame: Frame): void {
    if (frame.stream !== 0) throw new Error(`a control frame on stream ${frame.stream}`);
    switch (frame.type) {
      case GUEST_FRAMES.HELLO:
        this.#settle({ type: "hello", value: read(guestHello, frame, "HELLO") });
        break;
      case GUEST_FRAMES.LOADED:
        this.#settle({ type: "loaded", value: read(guestDone, frame, "LOADED") });
        break;
      case GUEST_FRAMES.READY:
        this.#settle({ type: "ready", value: read(guestDone, frame, "READY") });
        break;
      case GUEST_FRAMES.FAILED:
        this.loggedBeforeFailed = this.logs.length;
        this.#settle({ type: "failed", value: read(guestFailed, frame, "FAILED") });
        break;
      case GUEST_FRAMES.PONG:
        this.#settle({ type: "pong", value: read(guestPong, frame, "PONG") });
        break;
      case GUEST_FRAMES.LOG: {
        const log = read(guestLog, frame, "LOG");
        this.logs.push(...log.entries);
        this.dropped += log.dropped ?? 0;
        break;
      }
      default:
        throw new Error(`a frame of type ${frame.type} on the control stream`);
    }
  }

  ended(error: Error | undefined): void {
    for (const waiter of this.#waiters) waiter.reject(error ?? new Error("the control stream was closed"));
    this.#waiters = [];
    this.#ended(error);
  }

  #reply(accepts: (reply: Reply) => boolean): Promise<Reply> {
    const early = this.#early.findIndex(accepts);
    if (early >= 0) return Promise.resolve(this.#early.splice(early, 1)[0]!);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ accepts, resolve, reject });
    });
  }

  #settle(reply: Reply): void {
    const waiter = this.#waiters.find((candidate) => candidate.accepts(reply));
    if (waiter === undefined) {
      this.#early.push(reply);
      return;
    }
    this.#waiters = this.#waiters.filter((candidate) => candidate !== waiter);
    waiter.resolve(reply);
  }
}

function read<T>(shape: Shape<T>, frame: Frame, name: string): T {
  return parseJson(shape, frame.head, name);
}
