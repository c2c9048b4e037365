import type { Clock } from "#base/clock.ts";
import { count } from "#contract/count.ts";
import type { ErrorCode, Failure } from "#contract/errors.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import type { Invocation } from "./invocation.ts";
import type { RevisionDispatch } from "./revision-dispatch.ts";

export interface AcquireEvents {
  /** The invocation holds a slot now. */
  forward(invocation: Invocation): void;
  /** The queue of the revision has changed: more sandboxes may be needed. */
  scale(revision: RevisionDispatch): void;
  /** Whether what its last start was refused for has passed: then it may be tried again at once. */
  passed(revision: RevisionDispatch): boolean;
  /** The caller has its answer, without having been forwarded. */
  over(invocation: Invocation): void;
}

/**
 * Hop 2: a free slot, else the queue, else (through `scale`) another sandbox. A waiting request is bound late: it takes
 * whichever comes first, a freed slot, a thawed sandbox or a new one.
 */
export class Acquire {
  readonly #clock: Clock;
  readonly #events: AcquireEvents;

  constructor(deps: { clock: Clock }, events: AcquireEvents) {
    this.#clock = deps.clock;
    this.#events = events;
  }

  submit(invocation: Invocation): void {
    const revision = invocation.revision;
    if (revision.waiting.length === 0 && revision.take(invocation)) return this.#events.forward(invocation);
    const refusal = this.#refusal(revision);
    if (refusal !== undefined) return this.refuse(invocation, refusal);
    revision.waiting.push(invocation);
    const { timeoutMs } = revision.policy.queue;
    invocation.timer = this.#clock.after(timeoutMs, () => this.#expire(invocation, timeoutMs));
    this.#events.scale(revision);
  }

  /** Back to the front of the queue, with a new wait: the time it already waited was not its fault. */
  again(invocation: Invocation): void {
    const { timeoutMs } = invocation.revision.policy.queue;
    invocation.phase = "waiting";
    invocation.revision.waiting.unshift(invocation);
    invocation.timer = this.#clock.after(timeoutMs, () => this.#expire(invocation, timeoutMs));
    this.serve(invocation.revision);
    this.#events.scale(invocation.revision);
  }

  /** Gives free slots to those who wait, oldest first. Those who get one of `started` waited for its start. */
  serve(revision: RevisionDispatch, started: HeldSandbox | null = null): void {
    for (;;) {
      const first = revision.waiting.shift();
      if (first === null) return;
      if (!revision.take(first)) return revision.waiting.unshift(first);
      this.#stopTimer(first);
      if (first.sandbox === started)
        first.coldMs = Math.min(started!.coldMs, this.#clock.monotonic() - first.startedAt);
      this.#events.forward(first);
    }
  }

  /** The caller left while waiting. */
  leave(invocation: Invocation, outcome: ErrorCode): void {
    invocation.revision.waiting.remove(invocation);
    this.#end(invocation, outcome);
  }

  /** Everybody who waits is told the same. */
  refuseAll(revision: RevisionDispatch, failure: Failure): void {
    for (let first = revision.waiting.shift(); first !== null; first = revision.waiting.shift())
      this.refuse(first, failure);
  }

  refuse(invocation: Invocation, failure: Failure): void {
    invocation.answer.failed(failure);
    this.#end(invocation, failure.code);
  }

  #refusal(revision: RevisionDispatch): Failure | undefined {
    if (this.#hopeless(revision) && !this.#events.passed(revision)) return revision.refusal;
    const { length } = revision.policy.queue;
    if (revision.waiting.length < length) return undefined;
    // Who waits for a thaw has a slot as good as free: where nobody may wait at all, too.
    const asleep = (revision.frozen + revision.thawing) * revision.plan.concurrency;
    if (revision.waiting.length < length + asleep) return undefined;
    const { max } = revision.policy.scaling;
    return {
      code: "concurrency-limit",
      message: `${count(length, "invocation waits", "invocations wait")} already, for ${count(max, "sandbox", "sandboxes")} at most with ${count(revision.plan.concurrency, "slot")} each`,
    };
  }

  #hopeless(revision: RevisionDispatch): boolean {
    if (revision.refusal === undefined || this.#clock.monotonic() >= revision.blockedUntil) return false;
    return revision.ready === 0 && revision.starting === 0;
  }

  #expire(invocation: Invocation, timeoutMs: number): void {
    invocation.revision.waiting.remove(invocation);
    const cause = invocation.revision.lastFailure;
    const why = cause === undefined ? "" : `; the last start failed: ${cause.message}`;
    this.refuse(invocation, { code: "queue-timeout", message: `no slot was free within ${timeoutMs} ms${why}` });
  }

  #end(invocation: Invocation, outcome: ErrorCode): void {
    this.#stopTimer(invocation);
    invocation.phase = "over";
    invocation.outcome = outcome;
    invocation.endedAt = this.#clock.monotonic();
    this.#events.over(invocation);
  }

  #stopTimer(invocation: Invocation): void {
    if (invocation.timer !== null) this.#clock.cancel(invocation.timer);
    invocation.timer = null;
  }
}
