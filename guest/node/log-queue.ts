import { GUEST_FRAMES, type GuestLog, MAXIMUM_LOG_TEXT } from "#contract/guest/link.ts";
import type { Connection } from "./connection.ts";
import { scopes } from "./scope.ts";

/** Who takes LOG frames. */
type LogReader = Pick<Connection, "send" | "flush" | "closed" | "buffered">;

export type LogStream = "stdout" | "stderr";
export type LogLevel = "debug" | "info" | "warn" | "error";

type Entry = { -readonly [K in keyof GuestLog["entries"][number]]: GuestLog["entries"][number][K] };

/** User code may put a fake clock in its place. */
const { now } = Date;
/** What waits here, at most. */
const QUEUE_ENTRIES = 4_096;
const QUEUE_CHARACTERS = 1 << 20;
/** What waits in the socket, at most, before the rest waits here. */
const SOCKET_BYTES = 1 << 20;
/** One LOG frame; characters may take six bytes each in JSON, and a frame holds 1 MiB. */
const FRAME_ENTRIES = 500;
const FRAME_CHARACTERS = 128 * 1024;

/**
 * Log entries on their way to the agent.
 *
 * Owns: the entries that no control stream has taken. Invariants: 1. it holds at most QUEUE_ENTRIES and QUEUE_CHARACTERS, and what
 * is urgent; 2. once full, what is written is dropped and counted until the queue is empty, and the count leaves then (dropping
 * the oldest instead would keep garbage alive long enough to fill the heap); 3. entries leave in the order they were written.
 */
export class LogQueue {
  #entries: Entry[] = [];
  /** Entries before this one were sent or dropped. */
  #first = 0;
  #characters = 0;
  #dropped = 0;
  /** The last entry lacks its line's end: what the same scope writes next belongs to it. */
  #open = false;
  #scheduled = false;
  #control: LogReader | undefined;
  readonly #flush = () => this.flush();

  /** Entries go to this control stream from now on. */
  attach(control: LogReader): void {
    this.#control = control;
    this.flush();
  }

  /** `text` may end with a newline; without one the entry is continued by the next write. Urgent ones are never dropped. */
  write(stream: LogStream, level: LogLevel, text: string, urgent = false): void {
    if (this.#isFull && !urgent) {
      this.#dropped++;
      return;
    }
    const ended = text.endsWith("\n");
    const line = ended ? text.slice(0, -1) : text;
    const invocation = scopes.getStore()?.id;
    if (!this.#continue(stream, invocation, line)) this.#push(stream, level, invocation, line);
    this.#open = !ended;
    this.#schedule();
  }

  #schedule(): void {
    if (this.#characters >= FRAME_CHARACTERS) this.flush();
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Entries of another process, as they are. */
  relay(log: GuestLog): void {
    this.#open = false;
    this.#dropped += log.dropped ?? 0;
    for (const entry of log.entries)
      if (this.#isFull) this.#dropped++;
      else this.#add({ ...entry });
    this.#schedule();
  }

  /** Sends what the control stream takes now; `whole`: all there is, which is bounded. */
  flush(whole = false): void {
    this.#scheduled = false;
    const control = this.#control;
    if (control === undefined || control.closed) return;
    this.#open = false;
    while (this.#waiting > 0 || this.#dropped > 0) {
      if (control.closed || (!whole && control.buffered > SOCKET_BYTES)) return;
      this.#sendFrame(control);
    }
  }

  get #waiting(): number {
    return this.#entries.length - this.#first;
  }

  get #isFull(): boolean {
    return this.#dropped > 0 || this.#waiting >= QUEUE_ENTRIES || this.#characters >= QUEUE_CHARACTERS;
  }

  #sendFrame(control: LogReader): void {
    const start = this.#first;
    let end = start;
    for (let characters = 0; end < this.#entries.length && end - start < FRAME_ENTRIES; end++) {
      characters += this.#entries[end]!.text.length;
      if (characters > FRAME_CHARACTERS && end > start) break;
    }
    // What was dropped came after all that waits.
    const dropped = start === end ? this.#dropped : 0;
    const log: GuestLog = { entries: this.#entries.slice(start, end), dropped: dropped || undefined };
    control.send(GUEST_FRAMES.LOG, 0, 0, JSON.stringify(log), null);
    control.flush();
    // Nobody is there any more: they wait for the next control stream.
    if (control.closed) return;
    this.#dropped -= dropped;
    for (let count = end - start; count > 0; count--) this.#forget();
  }

  #push(stream: LogStream, level: LogLevel, invocation: string | undefined, text: string): void {
    const entry: Entry = { atMs: now(), stream, level, invocation, text };
    cut(entry);
    this.#add(entry);
  }

  #add(entry: Entry): void {
    this.#entries.push(entry);
    this.#characters += entry.text.length;
  }

  #continue(stream: LogStream, invocation: string | undefined, text: string): boolean {
    if (!this.#open || this.#waiting === 0) return false;
    const last = this.#entries.at(-1)!;
    if (last.stream !== stream || last.invocation !== invocation) return false;
    if (last.truncated) return true;
    this.#characters -= last.text.length;
    last.text += text;
    cut(last);
    this.#characters += last.text.length;
    return true;
  }

  #forget(): void {
    this.#characters -= this.#entries[this.#first]!.text.length;
    this.#first++;
    if (this.#first < 1_024 && this.#first < this.#entries.length) return;
    this.#entries = this.#entries.slice(this.#first);
    this.#first = 0;
  }
}

function cut(entry: Entry): void {
  const more = entry.text.length - MAXIMUM_LOG_TEXT;
  if (more <= 0) return;
  entry.text = `${entry.text.slice(0, MAXIMUM_LOG_TEXT)}… [${more} characters cut]`;
  entry.truncated = true;
}
