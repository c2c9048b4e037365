import type { Clock } from "#base/clock.ts";
import { type GuestLog, guestLog, MAXIMUM_LOG_TEXT } from "#contract/guest/link.ts";
import type { RevisionRef } from "#contract/names.ts";
import { parseJson } from "#contract/shape.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";

export interface GuestLogsOptions {
  readonly sandbox: string;
  /** Per second; as much may come at once. */
  readonly bytesPerSecond: number;
  readonly entriesPerSecond: number;
}

type Entry = GuestLog["entries"][number];
type OutputStream = Entry["stream"];

/** Of one item, so that it fits a frame whatever its text needs in JSON. */
const ITEM_BYTES = 128 * 1024;
const ENTRY_OVERHEAD = 100;
/** Of the allowance is as much read, as JSON: what is dropped costs this process time as well. */
const READ_SHARE = 4;
const ENTRY_MARK = '"atMs":';

/**
 * The way of one sandbox's log entries to telemetry. Owns: its allowance, and lines that are not complete. Invariants: 1. what
 * goes through in any second is at most twice the allowance, and what is read for it READ_SHARE times that and one frame; 2. every
 * entry that came is passed on or counted as dropped, and the count goes with the next item.
 */
export class GuestLogs {
  readonly #deps: { clock: Clock; telemetry: Telemetry };
  readonly #options: GuestLogsOptions;
  readonly #revision: RevisionRef;
  readonly #partial: Record<OutputStream, string> = { stdout: "", stderr: "" };
  #bytes: number;
  #entries: number;
  /** Below 0 nothing is read. */
  #readable: number;
  #filledMs: number;
  #dropped = 0;

  constructor(deps: { clock: Clock; telemetry: Telemetry }, revision: RevisionRef, options: GuestLogsOptions) {
    this.#deps = deps;
    this.#revision = revision;
    this.#options = options;
    this.#bytes = options.bytesPerSecond;
    this.#entries = options.entriesPerSecond;
    this.#readable = READ_SHARE * options.bytesPerSecond;
    this.#filledMs = deps.clock.monotonic();
  }

  /** The head of a LOG frame. @throws ShapeError */
  receive(head: string): void {
    this.#refill();
    if (this.#readable < 0) {
      this.#dropped += countOf(ENTRY_MARK, head);
      return;
    }
    this.#readable -= head.length;
    this.#take(parseJson(guestLog, head, "LOG"));
  }

  #take(log: GuestLog): void {
    this.#dropped += log.dropped ?? 0;
    this.#refill();
    const latestMs = this.#deps.clock.now() + 1_000;
    let item: Entry[] = [];
    let itemBytes = 0;
    for (const entry of log.entries) {
      const bytes = entry.text.length + ENTRY_OVERHEAD;
      if (bytes > this.#bytes || this.#entries < 1) {
        this.#dropped++;
        continue;
      }
      this.#bytes -= bytes;
      this.#entries--;
      if (itemBytes + bytes > ITEM_BYTES) {
        this.#pass(item);
        item = [];
        itemBytes = 0;
      }
      // Guests have their own idea of time only as far as it is past.
      item.push(entry.atMs > latestMs ? { ...entry, atMs: latestMs } : entry);
      itemBytes += bytes;
    }
    if (item.length > 0) this.#pass(item);
  }

  /** What the process wrote past its log frames: native code, crashes. */
  output(stream: OutputStream, text: string): void {
    const lines = (this.#partial[stream] + text).split("\n");
    const rest = lines.pop() ?? "";
    this.#partial[stream] = rest.length > MAXIMUM_LOG_TEXT ? "" : rest;
    if (rest.length > MAXIMUM_LOG_TEXT) lines.push(rest);
    for (let index = 0; index < lines.length; index += 1_000) this.#lines(stream, lines.slice(index, index + 1_000));
  }

  /** Passes on what is still here. */
  close(): void {
    for (const stream of ["stdout", "stderr"] as const) {
      if (this.#partial[stream] !== "") this.#lines(stream, [this.#partial[stream]]);
      this.#partial[stream] = "";
    }
    if (this.#dropped > 0) this.#pass([]);
  }

  #lines(stream: OutputStream, lines: readonly string[]): void {
    const level = stream === "stderr" ? "error" : "info";
    const atMs = this.#deps.clock.now();
    const entries = lines.map((line): Entry => {
      const text = line.slice(0, MAXIMUM_LOG_TEXT);
      return { atMs, stream, level, text, ...(text.length < line.length && { truncated: true }) };
    });
    this.#take({ entries });
  }

  #pass(entries: readonly Entry[]): void {
    const { tenant, app, function: name, revision } = this.#revision;
    const log: GuestLog = this.#dropped > 0 ? { entries, dropped: this.#dropped } : { entries };
    this.#dropped = 0;
    const { sandbox } = this.#options;
    this.#deps.telemetry.add({ kind: "logs", tenant, app, function: name, revision, sandbox, log });
  }

  #refill(): void {
    const { bytesPerSecond, entriesPerSecond } = this.#options;
    const nowMs = this.#deps.clock.monotonic();
    const seconds = (nowMs - this.#filledMs) / 1_000;
    this.#filledMs = nowMs;
    this.#bytes = Math.min(bytesPerSecond, this.#bytes + seconds * bytesPerSecond);
    this.#entries = Math.min(entriesPerSecond, this.#entries + seconds * entriesPerSecond);
    this.#readable = Math.min(READ_SHARE * bytesPerSecond, this.#readable + seconds * READ_SHARE * bytesPerSecond);
  }
}

function countOf(mark: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(mark); at >= 0; at = text.indexOf(mark, at + mark.length)) count++;
  return count;
}
