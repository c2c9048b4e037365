import type { Readable } from "node:stream";
import type { Clock, Timer } from "#base/clock.ts";
import { PlatformError } from "#contract/errors.ts";

/** Waiting for so long without progress: gives way to whoever needs its place, since nobody may be there any more. */
const SILENT_MS = 5_000;
/** And for so long: is over. */
const STALLED_MS = 30_000;
/** Fewer bytes than these are no progress: a place is not held by a byte now and then. */
const PROGRESS_BYTES = 4 * 1_024;

/**
 * The body of an upload, for as long as it gets on.
 *
 * Owns the reading of the source, and how long was waited for it. Does not own the source: it is not destroyed, so that its sender
 * can be answered. Invariants: 1. only time spent waiting for the source counts, not what its bytes are then used for; 2. after
 * `stop` nothing more is read.
 */
export class Intake implements AsyncIterable<Uint8Array> {
  readonly #clock: Clock;
  readonly #source: Readable;
  readonly #stopped = new AbortController();
  /** Of the waits since the last progress. */
  #waitedMs = 0;
  #waitingSinceMs: number | undefined;
  #bytes = 0;

  constructor({ clock }: { readonly clock: Clock }, source: Readable) {
    this.#clock = clock;
    this.#source = source;
    // It may be destroyed while nobody reads.
    source.on("error", () => {});
  }

  get isSilent(): boolean {
    const waitingMs = this.#waitingSinceMs === undefined ? 0 : this.#clock.monotonic() - this.#waitingSinceMs;
    return this.#waitedMs + waitingMs >= SILENT_MS;
  }

  /** Whoever reads gets this error. */
  stop(error: PlatformError): void {
    this.#stopped.abort(error);
  }

  /** @throws what the source failed with, what it was stopped with, PlatformError `request-timeout` */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, void> {
    const source = this.#source;
    for (;;) {
      this.#stopped.signal.throwIfAborted();
      const chunk: Uint8Array | null = source.read();
      if (chunk !== null) {
        this.#progress(chunk.byteLength);
        yield chunk;
      } else if (source.readableEnded) return;
      else if (source.destroyed) throw source.errored ?? new Error("the connection was cut");
      else await this.#wait();
    }
  }

  #progress(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < PROGRESS_BYTES) return;
    this.#bytes = 0;
    this.#waitedMs = 0;
  }

  async #wait(): Promise<void> {
    const clock = this.#clock;
    const since = clock.monotonic();
    this.#waitingSinceMs = since;
    const timer: Timer = clock.after(STALLED_MS - this.#waitedMs, () => this.stop(stalled()));
    await change(this.#source, this.#stopped.signal);
    clock.cancel(timer);
    this.#waitedMs += clock.monotonic() - since;
    this.#waitingSinceMs = undefined;
  }
}

/** There is more to read, or there never will be. */
function change(source: Readable, stopped: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const events = ["readable", "end", "error", "close"] as const;
    const settle = (): void => {
      for (const event of events) source.removeListener(event, settle);
      stopped.removeEventListener("abort", settle);
      resolve();
    };
    for (const event of events) source.on(event, settle);
    stopped.addEventListener("abort", settle);
  });
}

function stalled(): PlatformError {
  const message = `Less than ${PROGRESS_BYTES} bytes of the upload came in ${STALLED_MS / 1_000} s: send the rest with PATCH, from where HEAD says.`;
  return new PlatformError("request-timeout", message);
}
