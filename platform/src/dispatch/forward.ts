import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { ErrorCode, Failure } from "#contract/errors.ts";
import type { CancelReason, MisroutedReason } from "#contract/guest/link.ts";
import { MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import { DataStream, type StreamEvents } from "./data-stream.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import type { Invocation } from "./invocation.ts";
import { streamBody } from "./stream-body.ts";

/** From the deadline until the sandbox is killed. */
const GRACE_MS = 1_000;
/** How long to wait for the agent to say why a sandbox went away, before the callers are told. */
const CAUSE_MS = 500;
/** Times that an invocation is sent, at most. */
const ATTEMPTS = 2;

export interface ForwardEvents {
  /** A slot of the invocation's sandbox is free again. */
  freed(invocation: Invocation): void;
  /** A guest did not take an invocation: it will not take the next one either. */
  refused(sandbox: HeldSandbox, reason: MisroutedReason): void;
  /** Nothing of it ran: it may wait again. */
  again(invocation: Invocation): void;
  /** The caller has its answer. */
  over(invocation: Invocation): void;
  /** The sandbox must go. */
  kill(sandbox: HeldSandbox, cause: "killed" | "violation", reason: string): void;
  /** The stream to it is gone, whatever the reason. */
  lost(sandbox: HeldSandbox): void;
}

/**
 * Hop 3: sends an invocation to the guest and sees it through: deadline, cancel, a guest that dies.
 *
 * Owns: the run timer of every forwarded invocation.
 * Invariants: 1. a slot is given back only when the guest let go of it, or the sandbox is gone; 2. an invocation that may have
 * run is never sent again; 3. each caller is answered exactly once.
 */
export class Forward {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #events: ForwardEvents;

  constructor(deps: { clock: Clock; log: Log }, events: ForwardEvents) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#events = events;
  }

  /** The invocation holds a slot. */
  send(invocation: Invocation): void {
    const { timeoutMs } = invocation.revision.plan;
    invocation.phase = "forwarded";
    invocation.attempts++;
    invocation.forwardedAt = this.#clock.monotonic();
    invocation.timer = this.#clock.after(timeoutMs, () => this.#expire(invocation));
    const stream = invocation.sandbox!.stream!;
    stream.invoke(invocation, timeoutMs);
    if (!invocation.bodySent) streamBody(invocation, stream, MAXIMUM_CHUNK);
  }

  /** The caller left. The slot stays taken until the guest lets go. */
  leave(invocation: Invocation, outcome: ErrorCode): void {
    if (invocation.phase === "over") return;
    this.#over(invocation, outcome);
    this.cancel(invocation, "client");
  }

  cancel(invocation: Invocation, reason: CancelReason): void {
    invocation.sandbox?.stream?.cancel(invocation, reason);
  }

  /** A data stream whose events arrive here. */
  openStream(sandbox: HeldSandbox): DataStream {
    const events: StreamEvents = {
      released: (invocation) => this.#released(invocation),
      misrouted: (invocation, reason) => this.#misrouted(invocation, reason),
      answered: (invocation, outcome) => this.#over(invocation, outcome),
      closed: (running, violation) => this.#closed(sandbox, running, violation),
    };
    return new DataStream(events);
  }

  #released(invocation: Invocation): void {
    this.#letGo(invocation);
    this.#events.freed(invocation);
  }

  #letGo(invocation: Invocation): void {
    this.#stopTimer(invocation);
    if (invocation.late) invocation.sandbox!.suspect--;
    invocation.late = false;
  }

  #misrouted(invocation: Invocation, reason: MisroutedReason): void {
    const sandbox = invocation.sandbox!;
    this.#log.warn("misrouted", { invocation: invocation.id, sandbox: sandbox.id, reason });
    this.#letGo(invocation);
    this.#events.refused(sandbox, reason);
    this.#retry(invocation, { code: "sandbox-lost", message: `the sandbox refused the invocation: ${reason}` });
  }

  #expire(invocation: Invocation): void {
    const sandbox = invocation.sandbox!;
    const { timeoutMs } = invocation.revision.plan;
    sandbox.suspect++;
    invocation.late = true;
    if (invocation.phase !== "over") {
      this.#fail(invocation, {
        code: "function-timeout",
        message: `the function did not finish within its timeout of ${timeoutMs} ms`,
      });
    }
    this.cancel(invocation, "deadline");
    invocation.timer = this.#clock.after(GRACE_MS, () => {
      this.#events.kill(
        sandbox,
        "killed",
        `an invocation ran past its timeout of ${timeoutMs} ms and did not stop when cancelled`,
      );
    });
  }

  #closed(sandbox: HeldSandbox, running: readonly Invocation[], violation: string | undefined): void {
    this.#events.lost(sandbox);
    if (violation !== undefined) this.#events.kill(sandbox, "violation", violation);
    const ran: Invocation[] = [];
    for (const invocation of running) {
      this.#stopTimer(invocation);
      if (invocation.phase === "over") this.#events.freed(invocation);
      else if (sandbox.stream?.wasAccepted(invocation)) ran.push(invocation);
      else this.#resend(invocation);
    }
    if (ran.length > 0) this.#tellWhenKnown(sandbox, ran, violation);
  }

  /** The agent's word on the cause comes over another link, a moment later. */
  #tellWhenKnown(sandbox: HeldSandbox, ran: readonly Invocation[], violation: string | undefined): void {
    const tell = (failure: Failure) => {
      for (const invocation of ran) {
        if (invocation.phase !== "over") this.#fail(invocation, failure);
        this.#events.freed(invocation);
      }
    };
    if (violation !== undefined) {
      tell({ code: "guest-violation", message: `the sandbox broke the guest protocol: ${violation}` });
      return;
    }
    sandbox.whenGone(this.#clock, CAUSE_MS, (failure) => tell(failure ?? lostWith(sandbox)));
  }

  #resend(invocation: Invocation): void {
    this.#retry(invocation, { code: "sandbox-lost", message: "the sandbox was lost before it took the invocation" });
  }

  /** Gives its slot back and sends it again, where that may be. */
  #retry(invocation: Invocation, otherwise: Failure): void {
    // A body that is being streamed has been read in part and can't be sent twice.
    const repeatable = invocation.body === null || Buffer.isBuffer(invocation.body);
    const again = repeatable && invocation.attempts < ATTEMPTS;
    // While it has its sandbox, so that the record can name it.
    if (!again && invocation.phase !== "over") this.#fail(invocation, otherwise);
    this.#events.freed(invocation);
    if (invocation.phase !== "over") this.#events.again(invocation);
  }

  #fail(invocation: Invocation, failure: Failure): void {
    invocation.reason = failure.message;
    invocation.answer.failed(failure);
    this.#over(invocation, failure.code);
  }

  #over(invocation: Invocation, outcome: "ok" | ErrorCode): void {
    invocation.phase = "over";
    invocation.outcome = outcome;
    invocation.endedAt = this.#clock.monotonic();
    invocation.resumeBody = null;
    this.#events.over(invocation);
  }

  #stopTimer(invocation: Invocation): void {
    if (invocation.timer !== null) this.#clock.cancel(invocation.timer);
    invocation.timer = null;
  }
}

/** What the agent does not say is known here where the sandbox was removed on our word: to the neighbours of what made it go. */
function lostWith({ unwanted }: HeldSandbox): Failure {
  const message = "the sandbox was lost while the invocation ran";
  return { code: "sandbox-lost", message: unwanted === undefined ? message : `${message}: ${unwanted.reason}` };
}
