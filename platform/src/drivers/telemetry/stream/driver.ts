import { type Clock, sleep, type Timer } from "#base/clock.ts";
import { createDialer, type Dialed, type Dialer } from "#base/link/dialer.ts";
import type { Link, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";
import { FrameError } from "#contract/link/frame.ts";
import { type ReportItem, reportEvents, reportRequests } from "#contract/report/report.ts";
import type { Telemetry } from "#ports/telemetry/index.ts";
import { BATCH_TARGET_BYTES, ReportBuffer } from "./buffer.ts";

const BATCH_EVERY_MS = 100;
/** Batches sent and not acknowledged at most. */
const WINDOW = 8;
const ANSWER_MS = 10_000;
const CLOSE_MS = 1_000;
const SIDES = { asks: reportRequests, hears: reportEvents, serves: {}, emits: {} };
type Messages = MessageLink<typeof reportRequests, typeof reportEvents, Record<never, never>, Record<never, never>>;

export interface StreamTelemetryDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface StreamTelemetryOptions {
  /** Where control serves the report stream. */
  readonly address: string;
  readonly role: string;
  readonly instance: string;
  readonly pid: number;
  /** Of what waits to be sent. Default 32 MiB. */
  readonly maximumBytes?: number;
  /** Default 50,000. */
  readonly maximumItems?: number;
}

interface Batch {
  readonly number: number;
  readonly items: readonly ReportItem[];
  readonly dropped: number;
}

/** Telemetry that goes to control over the report stream (docs/contracts/report-stream.md). */
export function createStreamTelemetry(deps: StreamTelemetryDeps, options: StreamTelemetryOptions): Telemetry {
  return new StreamTelemetry(deps, options);
}

/**
 * Owns: what waits, the batches that are not acknowledged, the link to control. Does not own: what items mean.
 * Invariants: 1. a batch, once numbered, keeps number and items until it is acknowledged; 2. numbers leave in order on each
 * link; 3. at most WINDOW batches are numbered, everything else waits in the bounded buffer.
 */
class StreamTelemetry implements Telemetry {
  readonly #deps: StreamTelemetryDeps;
  readonly #options: StreamTelemetryOptions;
  readonly #run: string;
  readonly #buffer: ReportBuffer;
  readonly #dialer: Dialer;
  #unacknowledged: Batch[] = [];
  #number = 0;
  #lost = 0;
  /** The link, once control has everything that older links left open. */
  #live: Messages | undefined;
  #timer: Timer | undefined;
  /** What waits has waited long enough. */
  #due = false;
  #closing: AbortController | undefined;
  #closed = false;

  constructor(deps: StreamTelemetryDeps, options: StreamTelemetryOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#run = deps.random.bytes(8).toString("hex");
    this.#buffer = new ReportBuffer({
      maximumBytes: options.maximumBytes ?? 32 * 1024 * 1024,
      maximumItems: options.maximumItems ?? 50_000,
    });
    this.#dialer = createDialer(deps, { address: options.address, kind: "report" }, () => this.#dialed());
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#dialer.open();
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#flush();
    if (this.#live !== undefined && this.#open > 0) {
      this.#closing = new AbortController();
      await sleep(this.#deps.clock, CLOSE_MS, this.#closing.signal);
    }
    if (this.#timer !== undefined) this.#deps.clock.cancel(this.#timer);
    await this.#dialer.close();
    if (this.#open > 0) this.#deps.log.warn("reports given up at the end", { items: this.#open });
    this.#lost += this.#open;
    this.#unacknowledged = [];
  }

  add(item: ReportItem): void {
    if (this.#closed) {
      this.#lost++;
      return;
    }
    this.#buffer.add(item);
    if (this.#buffer.bytes >= BATCH_TARGET_BYTES) this.#pump();
    this.#timer ??= this.#deps.clock.after(BATCH_EVERY_MS, () => this.#flush());
  }

  get dropped(): number {
    return this.#buffer.dropped + this.#lost;
  }

  /** Items that wait or are on the way. */
  get #open(): number {
    return this.#unacknowledged.reduce((sum, { items }) => sum + items.length, this.#buffer.length);
  }

  #flush(): void {
    this.#timer = undefined;
    this.#due = true;
    this.#pump();
  }

  #pump(): void {
    while (this.#live !== undefined && this.#unacknowledged.length < WINDOW) {
      if (!this.#due && this.#buffer.bytes < BATCH_TARGET_BYTES) return;
      const items = this.#buffer.take();
      if (items.length === 0) {
        this.#due = false;
        return;
      }
      const batch = { number: ++this.#number, items, dropped: this.dropped };
      this.#unacknowledged.push(batch);
      const messages = this.#live;
      this.#send(messages, batch).catch((error) => messages.close(error));
    }
  }

  /** @throws what the link or control says, unless it says that the batch can never be taken: then it is dropped. */
  async #send(messages: Messages, batch: Batch): Promise<void> {
    try {
      const { acknowledged } = await messages.ask("batch", batch, ANSWER_MS);
      this.#forget((number) => number <= acknowledged);
    } catch (error) {
      if (!isHopeless(error)) throw error;
      this.#deps.log.error("a batch of reports is refused and dropped", { items: batch.items.length, error });
      this.#lost += batch.items.length;
      this.#forget((number) => number === batch.number);
    }
    this.#pump();
  }

  #forget(isDone: (number: number) => boolean): void {
    this.#unacknowledged = this.#unacknowledged.filter(({ number }) => !isDone(number));
    if (this.#open === 0) this.#closing?.abort();
  }

  #dialed(): Dialed {
    const messages: Messages = new MessageLink(this.#deps, SIDES, {
      serve: {},
      hear: {},
      closed: (error) => {
        this.#live = undefined;
        this.#closing?.abort();
        this.#deps.log.info("report stream gone: keeping what can be kept", { error });
      },
    });
    const { frame, close } = messages.handlers;
    return { frame, close, opened: (link) => this.#opened(messages, link) };
  }

  /** Ends when control has what older links left open: until then the dialer's waits grow with every failure. */
  async #opened(messages: Messages, link: Link): Promise<void> {
    messages.attach(link);
    const { role, instance, pid } = this.#options;
    const { acknowledged } = await messages.ask("hello", { role, instance, run: this.#run, pid }, ANSWER_MS);
    this.#forget((number) => number <= acknowledged);
    await Promise.all(this.#unacknowledged.map((batch) => this.#send(messages, batch)));
    if (link.closed) return;
    this.#deps.log.info("report stream up", { acknowledged });
    this.#live = messages;
    this.#due = true;
    this.#pump();
  }
}

function isHopeless(error: unknown): boolean {
  return error instanceof FrameError || (error instanceof PlatformError && error.code === "request-invalid");
}
