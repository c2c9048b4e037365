import type { Timer } from "#base/clock.ts";
import type { ErrorCode } from "#contract/errors.ts";
import type { Answer, BodySource } from "./answer.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import type { RevisionDispatch } from "./revision-dispatch.ts";

/**
 *     waiting ──slot──▶ forwarded ──HEAD──▶ answering ──▶ over
 *        │                  │ not ACCEPTED and link lost, or MISROUTED: waiting again, once
 *        └── refused, client left ──────────────────────────▶ over
 *
 * `over` is about the caller: it has its answer. The slot is another matter: it is held until the guest says END or is gone.
 */
export type Phase = "waiting" | "forwarded" | "answering" | "over";

/** What the edge knows when it hands an invocation to dispatch. */
export interface InvocationStart {
  readonly id: string;
  /** `"request":{…}` and `"trace":"…"` of the INVOKE head, as JSON text without outer braces. */
  readonly headText: string;
  /** The whole body, a source of it, or null for none. */
  readonly body: Buffer | BodySource | null;
  readonly bodyBytes: number;
  readonly trigger: string;
  readonly startedMs: number;
  readonly startedAt: number;
}

/**
 * One run of a function on its way through the hops. Knows no HTTP. One object with all fields present from the start, since
 * there are tens of thousands a second.
 */
export class Invocation {
  readonly id: string;
  readonly headText: string;
  readonly body: Buffer | BodySource | null;
  readonly trigger: string;
  readonly answer: Answer;
  /** Wall clock, for the record; the other times are monotonic. */
  readonly startedMs: number;
  readonly startedAt: number;
  readonly revision: RevisionDispatch;

  phase: Phase = "waiting";
  attempts = 0;
  /** Past its deadline, and the guest has not let go. */
  late = false;
  /** Milliseconds of a cold start that this invocation waited for. */
  coldMs = 0;
  forwardedAt = 0;
  endedAt = 0;

  /** Held while forwarded and until the guest lets go of it; -1 without. */
  sandbox: HeldSandbox | null = null;
  slot = -1;
  stream = 0;

  /** Of the queue while waiting, of the run afterwards. */
  timer: Timer | null = null;
  /** Bytes that may still be sent to, and may still come from, the guest. */
  sendWindow = 0;
  receiveWindow = 0;
  /** Taken by the caller, not yet given back to the guest as window. */
  receiveCredit = 0;
  bodySent = false;
  /** Of a body that is being streamed: called when the window has opened. */
  resumeBody: (() => void) | null = null;

  /** Of the function's answer, 0 until it has one. */
  status = 0;
  outcome: "ok" | ErrorCode = "ok";
  /** Why the platform ended it: for the function's log, which would otherwise not know. */
  reason = "";
  bodyBytes: number;
  answerBytes = 0;

  /** Neighbours in the waiting list (waiting-list.ts). */
  before: Invocation | null = null;
  after: Invocation | null = null;

  constructor(start: InvocationStart, revision: RevisionDispatch, answer: Answer) {
    this.id = start.id;
    this.headText = start.headText;
    this.body = start.body;
    this.bodyBytes = start.bodyBytes;
    this.trigger = start.trigger;
    this.startedMs = start.startedMs;
    this.startedAt = start.startedAt;
    this.revision = revision;
    this.answer = answer;
  }
}
