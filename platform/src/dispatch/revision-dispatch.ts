import type { Failure } from "#contract/errors.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import type { Frozen, HeldSandbox } from "./held-sandbox.ts";
import type { Invocation } from "./invocation.ts";
import { WaitingList } from "./waiting-list.ts";

export type RevisionPlan = RoutePlan["revisions"][string];

/** A sandbox, and whose it is. */
export interface Held {
  readonly revision: RevisionDispatch;
  readonly sandbox: HeldSandbox;
}

/**
 * One revision under this owner: who waits, which sandboxes there are, what is being started.
 *
 * Owns: the queue and the sandboxes of the revision; acquire and release change them in place, within one turn.
 * Does not own: decisions about starting (cold-start.ts), freezing (freezing.ts) and removing (dispatcher.ts).
 * Invariants: 1. nobody waits while a slot is free that needs no thaw; 2. `#open` holds exactly the available sandboxes, most recently used last,
 * and perhaps some that no longer are, which `take` discards.
 */
export class RevisionDispatch {
  readonly ref: RevisionRef;
  readonly key: string;
  /** `"tenant":…,"app":…,"function":…,"revision":…` of the INVOKE head. */
  readonly refText: string;
  readonly plan: RevisionPlan;
  policy: RoutePlan["policy"];
  /** Whether alias `live` still names it. */
  live = true;
  /** Dispatch has forgotten it: nothing may be started or wait here any more. */
  retired = false;
  readonly waiting = new WaitingList();
  readonly sandboxes = new Map<string, HeldSandbox>();
  /** Starts under way, also those that have no sandbox yet. */
  starting = 0;
  /** After a failed start nothing is started until then. */
  blockedUntil = 0;
  failures = 0;
  lastFailure: Failure | undefined;
  /** The last failure where waiting would not help: callers are told at once while blocked, instead of starting again for each. */
  refusal: Failure | undefined;
  /** The last start that was refused for want of capacity lacked memory (eviction.ts). */
  starved = false;
  readonly #open: HeldSandbox[] = [];

  constructor(ref: RevisionRef, plan: RevisionPlan, policy: RoutePlan["policy"]) {
    this.ref = ref;
    this.key = revisionKey(ref);
    this.plan = plan;
    this.policy = policy;
    this.refText = JSON.stringify({
      tenant: ref.tenant,
      app: ref.app,
      function: ref.function,
      revision: ref.revision,
    }).slice(1, -1);
  }

  /** Gives the invocation a slot of the most recently used sandbox that has one; false when none has. */
  take(invocation: Invocation): boolean {
    const open = this.#open;
    for (let top = open.length - 1; top >= 0; top--) {
      const sandbox = open[top]!;
      if (sandbox.available) {
        invocation.slot = sandbox.take();
        invocation.sandbox = sandbox;
        return true;
      }
      open.pop();
      sandbox.listed = false;
    }
    return false;
  }

  /** Takes the slot back. */
  give(invocation: Invocation, now: number): void {
    const sandbox = invocation.sandbox!;
    sandbox.give(invocation.slot, now);
    invocation.slot = -1;
    invocation.sandbox = null;
    this.list(sandbox);
  }

  /** Puts a sandbox on top of the stack if it is available and not there. */
  list(sandbox: HeldSandbox): void {
    if (sandbox.listed || !sandbox.available) return;
    sandbox.listed = true;
    this.#open.push(sandbox);
  }

  get idleSlots(): number {
    let slots = 0;
    for (const sandbox of this.#open) slots += sandbox.idleSlots;
    return slots;
  }

  /** Frozen ones included: they are there, and take invocations as soon as they are thawed. */
  get ready(): number {
    let count = 0;
    for (const sandbox of this.sandboxes.values()) if (sandbox.state === "ready") count++;
    return count;
  }

  get frozen(): number {
    return this.#countFrozen("yes");
  }

  get thawing(): number {
    return this.#countFrozen("thawing");
  }

  get running(): number {
    let count = 0;
    for (const sandbox of this.sandboxes.values()) count += sandbox.used;
    return count;
  }

  #countFrozen(frozen: Frozen): number {
    let count = 0;
    for (const sandbox of this.sandboxes.values()) if (sandbox.state === "ready" && sandbox.frozen === frozen) count++;
    return count;
  }
}
