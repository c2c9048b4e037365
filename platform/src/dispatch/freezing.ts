import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { SandboxState } from "#contract/agent/link.ts";
import { toFailure } from "#contract/errors.ts";
import { thawsNeeded, toFreeze } from "#domain/scaling/keep-alive.ts";
import type { AgentClient } from "./agent-client.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import type { RevisionDispatch } from "./revision-dispatch.ts";

/** What is asked of the agent. */
export type FreezingAgent = Pick<AgentClient, "up" | "freeze" | "thaw">;

export interface FreezingEvents {
  /** Its slots can be given again. */
  thawed(revision: RevisionDispatch, sandbox: HeldSandbox): void;
  /** It can't be thawed: it must go, and something else serve those who wait. */
  lost(revision: RevisionDispatch, sandbox: HeldSandbox, reason: string): void;
}

/**
 * Freezes what is idle and thaws it for those who wait. They wait in the queue until the agent has answered, and nothing is sent
 * to a sandbox before: so whatever becomes of a thaw, no invocation is lost or runs twice, and a slot that is freed meanwhile
 * is taken.
 *
 * Owns: `frozen` of every sandbox that is ready. Does not own: what is started or removed instead (cold-start.ts, dispatcher.ts).
 * Invariants: 1. nothing is frozen while a slot of it is used; 2. the agent is asked to thaw after it was asked to freeze, on the
 * same link, whose order is kept; 3. an agent that said that it freezes nothing is not asked again on that link.
 */
export class Freezing {
  readonly #deps: { clock: Clock; log: Log };
  readonly #agent: FreezingAgent;
  readonly #events: FreezingEvents;
  /** The agent's sandboxes can't be frozen. */
  #refused = false;

  constructor(deps: { clock: Clock; log: Log }, agent: FreezingAgent, events: FreezingEvents) {
    this.#deps = deps;
    this.#agent = agent;
    this.#events = events;
  }

  /** Now and then: what has been idle for long enough. */
  sweep(revision: RevisionDispatch): void {
    if (!this.#agent.up) return;
    const { freezeAfterMs } = revision.policy.scaling;
    const running = ready(revision, "no").filter(({ busy, used }) => !busy && used === 0);
    if (!this.#refused)
      for (const sandbox of toFreeze(running, freezeAfterMs, this.#deps.clock.monotonic()))
        void this.#freeze(revision, sandbox);
    // It may be never since a moment ago.
    if (freezeAfterMs === undefined) for (const sandbox of ready(revision, "yes")) void this.#thaw(revision, sandbox);
  }

  /** Thaws what those who wait need, most recently used first. Safe to call at any time. */
  thaw(revision: RevisionDispatch): void {
    if (revision.waiting.length === 0 || revision.frozen === 0 || !this.#agent.up) return;
    const frozen = ready(revision, "yes");
    const needed = thawsNeeded({
      queued: revision.waiting.length,
      idleSlots: revision.idleSlots,
      thawing: revision.thawing,
      frozen: frozen.length,
      concurrency: revision.plan.concurrency,
    });
    frozen.sort((a, b) => b.idleSinceMs! - a.idleSinceMs!);
    for (const sandbox of frozen.slice(0, needed)) void this.#thaw(revision, sandbox);
  }

  /** The agent is back, perhaps another one. */
  onUp(): void {
    this.#refused = false;
  }

  /** What the agent says of one that is ready: while it was away, orders and answers may have been lost. */
  onListed(revision: RevisionDispatch, sandbox: HeldSandbox, state: SandboxState): void {
    if (sandbox.state !== "ready") return;
    if (state === "ready" && sandbox.frozen === "yes") this.#done(revision, sandbox);
    // The agent does not know that it was thawed: told again, it is watched again.
    if (state === "frozen" && sandbox.frozen === "no")
      this.#agent.thaw(sandbox.id).catch((error) => this.#deps.log.debug("thaw not confirmed", { error }));
  }

  async #freeze(revision: RevisionDispatch, sandbox: HeldSandbox): Promise<void> {
    sandbox.frozen = "yes";
    try {
      await this.#agent.freeze(sandbox.id);
      this.#deps.log.debug("sandbox is frozen", { sandbox: sandbox.id });
    } catch (error) {
      const failure = toFailure(error);
      // No answer says nothing about what was done: a thaw settles it, or the next list.
      if (failure.code === "unavailable") return;
      if (failure.code === "request-invalid") this.#refuse(failure.message);
      else this.#deps.log.debug("sandbox could not be frozen", { sandbox: sandbox.id, reason: failure.message });
      if (sandbox.frozen === "yes") this.#done(revision, sandbox);
    }
  }

  #refuse(reason: string): void {
    if (!this.#refused) this.#deps.log.info("idle sandboxes go on running: the agent does not freeze", { reason });
    this.#refused = true;
  }

  async #thaw(revision: RevisionDispatch, sandbox: HeldSandbox): Promise<void> {
    sandbox.frozen = "thawing";
    try {
      await this.#agent.thaw(sandbox.id);
    } catch (error) {
      if (sandbox.state !== "ready") return;
      // With the link, not for a reason of its own: the next list tells how it is.
      if (!this.#agent.up) sandbox.frozen = "yes";
      else this.#events.lost(revision, sandbox, `it could not be thawed: ${toFailure(error).message}`);
      return;
    }
    if (sandbox.state === "ready") this.#done(revision, sandbox);
  }

  #done(revision: RevisionDispatch, sandbox: HeldSandbox): void {
    sandbox.frozen = "no";
    revision.list(sandbox);
    this.#events.thawed(revision, sandbox);
  }
}

function ready(revision: RevisionDispatch, frozen: HeldSandbox["frozen"]): HeldSandbox[] {
  return [...revision.sandboxes.values()].filter((sandbox) => sandbox.state === "ready" && sandbox.frozen === frozen);
}
