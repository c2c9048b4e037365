import type { Clock, Timer } from "#base/clock.ts";
import type { Failure } from "#contract/errors.ts";
import type { GuestLog } from "#contract/guest/link.ts";
import { type FunctionRef, functionKey, type RevisionRef } from "#contract/names.ts";
import type { StartEvents } from "#platform/dispatch/dispatcher.ts";
import type { Tell } from "./event.ts";
import type { DevRevisions } from "./revisions.ts";

export type LogEntry = GuestLog["entries"][number];

export interface DevStartsDeps {
  readonly clock: Clock;
  readonly revisions: Pick<DevRevisions, "current" | "settled">;
  readonly tell: Tell;
}

interface Start {
  readonly ref: FunctionRef;
  readonly revision: string;
  /** When the change was noticed that led to the revision. */
  readonly changedAt: number;
  /** Errors that were logged just now, and may be the reason of a failure that is told next. */
  held: LogEntry[];
  timer: Timer | undefined;
}

/** More than a failure comes behind what was logged of it, less than anybody waits for a log. */
const HOLD_MS = 250;
/** How guests of all languages log an error that ended the loading or `init`. */
const THROWN = /^(?:Uncaught )?(?:[\w.]*(?:Error|Exception)\b|Traceback )/m;
const FRAME = /^\s+(?:at |File ")/;
/** Of nobody's code, or of no use. */
const FOREIGN =
  /^\s+at (?:new Promise \(<anonymous>\)$|.*node:internal|.*-guest-\w+\.mjs)|^\s+\.\.\. \d+ lines matching|^\s*[{}]?$/;
const CARET = /^\s*\^+\s*$/;

/**
 * What becomes of starts: a revision that can't be loaded or initialised is told of once, whole, however many requests try it again.
 *
 * Owns: by function, the start of the revision that callers get, until it has a sandbox. Invariants: 1. of one revision one failure is
 * told until it has started; 2. what is held is told within HOLD_MS, as a log or with the failure; 3. what invocations log always is; 4. of a
 * revision that was replaced before it has started nothing is told any more.
 */
export class DevStarts implements StartEvents {
  readonly #deps: DevStartsDeps;
  readonly #starts = new Map<string, Start>();
  /** By function, the revision that was told to have failed last. It may be tried again after it was replaced. */
  readonly #failed = new Map<string, string>();
  /** By function, the revision that has started last. */
  readonly #running = new Map<string, string>();
  #closed = false;

  constructor(deps: DevStartsDeps) {
    this.#deps = deps;
  }

  begin(ref: FunctionRef, revision: string, changedAt: number): void {
    this.#forget(ref);
    this.#starts.set(functionKey(ref), { ref, revision, changedAt, held: [], timer: undefined });
  }

  /** The function is gone. */
  remove(ref: FunctionRef): void {
    this.#forget(ref);
    this.#failed.delete(functionKey(ref));
    this.#running.delete(functionKey(ref));
  }

  /** Nothing more is told. */
  close(): void {
    this.#closed = true;
  }

  /** Dispatch has a sandbox of the revision. */
  started(ref: RevisionRef): void {
    const { clock, revisions, tell } = this.#deps;
    if (this.#closed || revisions.current(ref) === undefined) return;
    revisions.settled(ref, ref.revision);
    if (this.#hasFailed(ref)) this.#failed.delete(functionKey(ref));
    this.#running.set(functionKey(ref), ref.revision);
    const start = this.#startOf(ref);
    if (start === undefined) return;
    this.#release(start);
    this.#forget(ref);
    const tookMs = clock.monotonic() - start.changedAt;
    tell({ kind: "ready", function: ref.function, revision: ref.revision, tookMs });
  }

  startFailed(ref: RevisionRef, { code, message }: Failure): void {
    const { clock, revisions, tell } = this.#deps;
    if (this.#closed || revisions.current(ref) !== ref.revision) return;
    revisions.settled(ref, ref.revision);
    if (this.#hasFailed(ref)) return;
    this.#failed.set(functionKey(ref), ref.revision);
    if (this.#startOf(ref) === undefined) this.begin(ref, ref.revision, clock.monotonic());
    const start = this.#startOf(ref)!;
    const { stack, others } = sortOut(start.held, message);
    start.held = others;
    this.#release(start);
    tell({ kind: "broken", function: ref.function, code, message, stack });
  }

  log(ref: RevisionRef, entry: LogEntry, from: "guest" | "platform"): void {
    const start = entry.invocation === undefined ? this.#startOf(ref) : undefined;
    if (entry.invocation === undefined && (this.#hasFailed(ref) || this.#isReplaced(ref))) return;
    if (start === undefined || entry.level !== "error")
      return this.#deps.tell({ kind: "log", function: ref.function, entry, from });
    start.held.push(entry);
    start.timer ??= this.#deps.clock.after(HOLD_MS, () => this.#release(start));
  }

  /** What was held was only logged. */
  #release(start: Start): void {
    if (start.timer !== undefined) this.#deps.clock.cancel(start.timer);
    start.timer = undefined;
    const { held, ref } = start;
    start.held = [];
    if (this.#closed) return;
    for (const entry of held) this.#deps.tell({ kind: "log", function: ref.function, entry, from: "guest" });
  }

  /** Before it has ever started: what it could not do is no news. */
  #isReplaced(ref: RevisionRef): boolean {
    return this.#deps.revisions.current(ref) !== ref.revision && this.#running.get(functionKey(ref)) !== ref.revision;
  }

  #forget(ref: FunctionRef): void {
    const timer = this.#starts.get(functionKey(ref))?.timer;
    if (timer !== undefined) this.#deps.clock.cancel(timer);
    this.#starts.delete(functionKey(ref));
  }

  #hasFailed(ref: RevisionRef): boolean {
    return this.#failed.get(functionKey(ref)) === ref.revision;
  }

  #startOf(ref: RevisionRef): Start | undefined {
    const start = this.#starts.get(functionKey(ref));
    return start?.revision === ref.revision ? start : undefined;
  }
}

/** Guests log an error whole, and once more line by line where they may not live to see it sent: what of all that says more than `message`. */
function sortOut(held: readonly LogEntry[], message: string): { readonly stack: string; readonly others: LogEntry[] } {
  const thrown = held.find(({ text }) => text.includes("\n") && THROWN.test(text))?.text ?? "";
  const others = held.filter(({ text }) => !thrown.includes(text.trim()) && !message.includes(text.trim()));
  if (thrown !== "") return { stack: placeIn(thrown, message), others };
  const frames = others.filter(({ text }) => FRAME.test(text) || FOREIGN.test(text));
  const stack = placeIn(frames.map(({ text }) => text).join("\n"), message);
  return { stack, others: others.filter((entry) => !frames.includes(entry)) };
}

/** Frames, or the line that a caret points to, without what the message says already. */
function placeIn(text: string, message: string): string {
  const lines = text.trimEnd().split("\n");
  const caret = lines.findIndex((line) => CARET.test(line));
  const hasFrames = lines.some((line) => FRAME.test(line) && !FOREIGN.test(line));
  if (!hasFrames) return caret < 1 ? "" : lines.slice(caret - 1, caret + 1).join("\n");
  const first = lines.findIndex((line) => FRAME.test(line));
  return lines
    .slice(first)
    .filter((line) => !FOREIGN.test(line) && !message.includes(line.trim()))
    .filter((line, index, all) => FRAME.test(line) || index < all.length - 1 || !THROWN.test(line))
    .join("\n");
}
