import type { Clock } from "#base/clock.ts";
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
  readonly revision: string;
  /** When the change was noticed that led to the revision. */
  readonly changedAt: number;
  /** Of `starting`: what may be the reason of a failure, to be told with it. */
  readonly held: { readonly entry: LogEntry; readonly from: "guest" | "platform" }[];
  phase: "starting" | "failed";
}

/** How guests of all languages log an error that ended the loading or `init`. */
const THROWN = /^(?:Uncaught )?(?:[\w.]*(?:Error|Exception)\b|Traceback )/;
const FRAME = /^\s+(?:at |File ")/;
const NO_PLACE = /^\s+at new Promise \(<anonymous>\)$/;
const HELD = 20;

/**
 * What becomes of starts: a revision that can't be loaded or initialised is told of once, whole, however many requests try it again.
 *
 * Owns: by function, the start of the revision that callers get, until it has a sandbox. Invariants: 1. of one revision one failure is
 * told until it has started; 2. what is held is told in the end, as a log or with the failure; 3. what invocations log always is.
 */
export class DevStarts implements StartEvents {
  readonly #deps: DevStartsDeps;
  readonly #starts = new Map<string, Start>();
  #closed = false;

  constructor(deps: DevStartsDeps) {
    this.#deps = deps;
  }

  begin(ref: FunctionRef, revision: string, changedAt: number): void {
    this.#starts.set(functionKey(ref), { revision, changedAt, held: [], phase: "starting" });
  }

  forget(ref: FunctionRef): void {
    this.#starts.delete(functionKey(ref));
  }

  /** Nothing more is told. */
  close(): void {
    this.#closed = true;
  }

  /** Dispatch has a sandbox of the revision. */
  started(ref: RevisionRef): void {
    if (this.#closed) return;
    const { clock, revisions, tell } = this.#deps;
    revisions.settled(ref, ref.revision);
    const start = this.#startOf(ref);
    if (start === undefined) return;
    this.forget(ref);
    for (const { entry, from } of start.held) tell({ kind: "log", function: ref.function, entry, from });
    const tookMs = clock.monotonic() - start.changedAt;
    tell({ kind: "ready", function: ref.function, revision: ref.revision, tookMs });
  }

  startFailed(ref: RevisionRef, { code, message }: Failure): void {
    const { clock, revisions, tell } = this.#deps;
    if (this.#closed || revisions.current(ref) !== ref.revision) return;
    revisions.settled(ref, ref.revision);
    if (this.#startOf(ref) === undefined) this.begin(ref, ref.revision, clock.monotonic());
    const start = this.#startOf(ref)!;
    if (start.phase === "failed") return;
    start.phase = "failed";
    const stack = start.held.map(({ entry }) => stackIn(entry.text, message)).find((lines) => lines !== "") ?? "";
    tell({ kind: "broken", function: ref.function, code, message, stack });
  }

  log(ref: RevisionRef, entry: LogEntry, from: "guest" | "platform"): void {
    const start = entry.invocation === undefined ? this.#startOf(ref) : undefined;
    if (start?.phase === "failed") return;
    if (start !== undefined && entry.level === "error" && THROWN.test(entry.text) && start.held.length < HELD)
      start.held.push({ entry, from });
    else this.#deps.tell({ kind: "log", function: ref.function, entry, from });
  }

  #startOf(ref: RevisionRef): Start | undefined {
    const start = this.#starts.get(functionKey(ref));
    return start?.revision === ref.revision ? start : undefined;
  }
}

/** Where it happened, without what the message says already. "" where the text knows no place. */
function stackIn(text: string, message: string): string {
  const lines = text.trimEnd().split("\n");
  if (!lines.some((line) => FRAME.test(line) && !NO_PLACE.test(line))) return "";
  const [first = "", ...rest] = lines;
  const own = first.startsWith("Traceback ") ? rest.slice(0, -1) : rest;
  return own.filter((line) => !NO_PLACE.test(line) && !message.includes(line.trim())).join("\n");
}
