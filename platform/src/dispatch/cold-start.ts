import { backoffMs } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { Semaphore } from "#base/semaphore.ts";
import type { AgentEvents, SandboxView } from "#contract/agent/link.ts";
import { ERRORS, type Failure, toFailure } from "#contract/errors.ts";
import { dataWelcome, GUEST_FRAMES } from "#contract/guest/link.ts";
import type { Frame } from "#contract/link/frame.ts";
import { parseJson, ShapeError } from "#contract/shape.ts";
import { startsNeeded } from "#domain/scaling/starts.ts";
import type { AgentClient } from "./agent-client.ts";
import type { DataStream } from "./data-stream.ts";
import type { Eviction } from "./eviction.ts";
import { HeldSandbox } from "./held-sandbox.ts";
import type { RevisionDispatch } from "./revision-dispatch.ts";

/** A failed start is not repeated for at least this long, doubling up to the maximum. */
const RETRY = { firstMs: 200, maximumMs: 10_000 };
/** For the agent to say why a guest that hung up is gone. */
const CAUSE_MS = 500;
/** Time for the data stream's greeting; longer where a debugger may hold the guest. */
const WELCOME_MS = 5_000;
/** From `load` to `ready`: more than a bundle's fetch and the longest init timeout that is sensible. */
const READY_MS = 120_000;

export interface ColdStartOptions {
  readonly owner: string;
  readonly epoch: number;
  /** Sandboxes that may be starting at once: more would only slow each other down. */
  readonly concurrentStarts: number;
  /** From `load` to `ready`. Default READY_MS; longer where a debugger may hold the code. */
  readonly readyMs?: number;
}

export interface ColdStartEvents {
  /** A sandbox is held from now on, until the agent says that it is gone. */
  held(revision: RevisionDispatch, sandbox: HeldSandbox): void;
  /** A sandbox has slots to give. */
  ready(revision: RevisionDispatch, sandbox: HeldSandbox): void;
  failed(revision: RevisionDispatch, failure: Failure): void;
  /** A start failed in a way that those who wait must hear of. */
  refuse(revision: RevisionDispatch, failure: Failure): void;
  openStream(sandbox: HeldSandbox): DataStream;
}

type StartOutcome = { readonly kind: "ready" } | { readonly kind: "failed" | "gone"; readonly failure: Failure };

/**
 * Starts sandboxes: the way from "the queue needs one" to "it has slots".
 *
 * Owns: starts under way, and what the agent still has to say about them.
 * Invariants: 1. `revision.starting` counts exactly the starts under way; 2. a start ends as a ready sandbox or not at all:
 * whatever fails on the way, the sandbox is released, except where `init` failed, which may be tried again (`loaded`);
 * 3. starts are counted anew after each end, never chained.
 */
export class ColdStarts {
  readonly #deps: { clock: Clock; random: Random; network: Network; log: Log };
  readonly #agent: AgentClient;
  readonly #eviction: Eviction;
  readonly #options: ColdStartOptions;
  readonly #events: ColdStartEvents;
  /** By sandbox: who waits for what the agent says of it. */
  readonly #expected = new Map<string, (outcome: StartOutcome) => void>();
  /** What the agent said of a sandbox with, or right after, the answer that names it. */
  readonly #early = new Map<string, StartOutcome>();
  #acquiring = 0;
  readonly #places: Semaphore;
  readonly #closed = new AbortController();

  constructor(
    deps: { clock: Clock; random: Random; network: Network; log: Log },
    agent: AgentClient,
    eviction: Eviction,
    options: ColdStartOptions,
    events: ColdStartEvents,
  ) {
    this.#deps = deps;
    this.#agent = agent;
    this.#eviction = eviction;
    this.#options = options;
    this.#events = events;
    this.#places = new Semaphore(options.concurrentStarts);
  }

  close(): void {
    this.#closed.abort();
  }

  /** Starts what the revision needs beyond what it has. Safe to call at any time. */
  scale(revision: RevisionDispatch): void {
    if (this.#closed.signal.aborted || !this.#agent.up || this.#deps.clock.monotonic() < revision.blockedUntil) return;
    const { min, max } = revision.policy.scaling;
    const thawing = revision.thawing;
    const wanted = startsNeeded({
      queued: revision.waiting.length,
      idleSlots: revision.idleSlots,
      // A thaw under way brings slots as a start does, and sooner.
      starting: revision.starting + thawing,
      ready: revision.ready - thawing,
      concurrency: revision.plan.concurrency,
      min: revision.live ? min : 0,
      max,
    });
    for (let count = 0; count < wanted; count++) void this.#start(revision);
  }

  /** The refusal of the last start holds no more. */
  unblock(revision: RevisionDispatch): void {
    revision.refusal = undefined;
    revision.blockedUntil = 0;
  }

  /** One that lived before this owner did, or was being started under an older link. */
  adopt(revision: RevisionDispatch, view: SandboxView): void {
    const sandbox = new HeldSandbox(view.sandbox, view.address, revision.plan.concurrency);
    this.#hold(revision, sandbox);
    revision.starting++;
    void this.#finish(revision, sandbox, this.#adoptable(sandbox, view), this.#deps.clock.monotonic());
  }

  /** A frozen one could not greet its new data stream; it is frozen again when it was idle for long enough. */
  #adoptable(sandbox: HeldSandbox, { state }: SandboxView): Promise<void> {
    if (state === "ready") return Promise.resolve();
    return state === "frozen" ? this.#agent.thaw(sandbox.id) : this.#readiness(sandbox);
  }

  onReady(event: AgentEvents["ready"]): void {
    this.#hear(event.sandbox, { kind: "ready" });
  }

  onFailed(event: AgentEvents["failed"]): void {
    this.#hear(event.sandbox, { kind: "failed", failure: event.failure });
  }

  onGone(event: AgentEvents["gone"]): void {
    const failure = event.failure ?? { code: "start-failed" as const, message: `the sandbox is gone: ${event.cause}` };
    this.#hear(event.sandbox, { kind: "gone", failure });
  }

  #hear(sandbox: string, outcome: StartOutcome): void {
    const settle = this.#expected.get(sandbox);
    if (settle !== undefined) settle(outcome);
    else if (this.#acquiring > 0) this.#early.set(sandbox, outcome);
  }

  /** The agent's link is gone: what it was to tell may never come. Sandboxes it lists again are adopted. */
  onAway(): void {
    for (const settle of [...this.#expected.values()]) {
      settle({
        kind: "gone",
        failure: { code: "unavailable", message: "the agent went away during the start" },
      });
    }
  }

  async #start(revision: RevisionDispatch): Promise<void> {
    revision.starting++;
    await this.#places.acquire();
    try {
      if (this.#stillNeeded(revision)) await this.#startNow(revision);
      else revision.starting--;
    } finally {
      this.#places.release();
    }
  }

  /** While it waited for its place, those it was meant for may have been served. */
  #stillNeeded(revision: RevisionDispatch): boolean {
    if (this.#closed.signal.aborted) return false;
    const minimum = revision.live ? revision.policy.scaling.min : 0;
    return revision.waiting.length > revision.idleSlots || revision.ready < minimum;
  }

  async #startNow(revision: RevisionDispatch): Promise<void> {
    const begun = this.#deps.clock.monotonic();
    const loaded = this.#takeLoaded(revision);
    if (loaded !== undefined) return this.#finish(revision, loaded, this.#loadAgain(revision, loaded), begun);
    let acquired: { sandbox: HeldSandbox; ready: Promise<void> };
    try {
      acquired = await this.#eviction.acquire(revision, () => this.#acquire(revision));
    } catch (error) {
      revision.starting--;
      this.#failed(revision, toFailure(error));
      return;
    }
    await this.#finish(revision, acquired.sandbox, acquired.ready, begun);
  }

  /** One whose `init` failed before: it has the code, and its process need not be started again. */
  #takeLoaded(revision: RevisionDispatch): HeldSandbox | undefined {
    for (const sandbox of revision.sandboxes.values()) {
      if (sandbox.state !== "loaded") continue;
      sandbox.state = "starting";
      return sandbox;
    }
    return undefined;
  }

  #loadAgain(revision: RevisionDispatch, sandbox: HeldSandbox): Promise<void> {
    const ready = this.#readiness(sandbox);
    this.#agent
      .load(sandbox.id, revision.ref)
      .catch((error) => this.#hear(sandbox.id, { kind: "gone", failure: toFailure(error) }));
    return ready;
  }

  async #acquire(revision: RevisionDispatch): Promise<{ sandbox: HeldSandbox; ready: Promise<void> }> {
    this.#acquiring++;
    try {
      const acquired = await this.#agent.acquire(revision.ref);
      const sandbox = new HeldSandbox(acquired.sandbox, acquired.address, revision.plan.concurrency);
      this.#hold(revision, sandbox);
      return { sandbox, ready: this.#readiness(sandbox) };
    } finally {
      this.#acquiring--;
      if (this.#acquiring === 0) this.#early.clear();
    }
  }

  #hold(revision: RevisionDispatch, sandbox: HeldSandbox): void {
    revision.sandboxes.set(sandbox.id, sandbox);
    this.#events.held(revision, sandbox);
  }

  /** The data stream is greeted while the code loads. */
  async #finish(revision: RevisionDispatch, sandbox: HeldSandbox, ready: Promise<void>, begun: number): Promise<void> {
    // A sandbox whose init failed before has its stream already.
    const connected = sandbox.stream === null ? this.#connect(sandbox) : Promise.resolve();
    try {
      await Promise.all([ready, connected.catch((error) => this.#afterCause(ready, error))]);
      if (sandbox.stream?.closed !== false) throw new Error("the data stream closed during the start");
    } catch (error) {
      // Only one that is connected may be kept for another try.
      const usable = await connected.then(
        () => sandbox.stream?.closed === false,
        () => false,
      );
      revision.starting--;
      this.#abandon(revision, sandbox, error, usable);
      return;
    }
    revision.starting--;
    revision.failures = 0;
    revision.lastFailure = undefined;
    revision.refusal = undefined;
    sandbox.coldMs = this.#deps.clock.monotonic() - begun;
    sandbox.state = "ready";
    sandbox.idleSinceMs = this.#deps.clock.monotonic();
    revision.list(sandbox);
    this.#deps.log.info("sandbox is ready", {
      ...revision.ref,
      sandbox: sandbox.id,
      coldMs: Math.round(sandbox.coldMs),
    });
    this.#events.ready(revision, sandbox);
  }

  /** Why a guest hung up the agent knows best, and says over another link, perhaps a moment later. */
  async #afterCause(ready: Promise<void>, error: unknown): Promise<never> {
    await Promise.race([ready, sleep(this.#deps.clock, CAUSE_MS)]);
    throw error;
  }

  #abandon(revision: RevisionDispatch, sandbox: HeldSandbox, error: unknown, usable: boolean): void {
    const failure =
      error instanceof StartError
        ? error.failure
        : { code: "start-failed" as const, message: error instanceof Error ? error.message : String(error) };
    // Of a function that was deleted meanwhile nobody would find it again.
    if (error instanceof StartError && error.kind === "failed" && usable && !revision.retired) {
      sandbox.state = "loaded";
      sandbox.idleSinceMs = this.#deps.clock.monotonic();
    } else {
      sandbox.state = "gone";
      revision.sandboxes.delete(sandbox.id);
      sandbox.stream?.close();
      sandbox.unwanted = { cause: "start-failed", reason: failure.message };
      this.#agent.release(sandbox.id, "start-failed", failure.message);
    }
    this.#failed(revision, failure);
  }

  #failed(revision: RevisionDispatch, failure: Failure): void {
    const pauseMs = backoffMs(this.#deps.random, RETRY, revision.failures);
    revision.failures++;
    revision.lastFailure = failure;
    const until = this.#deps.clock.monotonic() + pauseMs;
    revision.blockedUntil = until;
    this.#deps.log.warn("start failed", {
      ...revision.ref,
      code: failure.code,
      reason: failure.message,
      pauseMs: Math.round(pauseMs),
    });
    this.#events.failed(revision, failure);
    // Somebody else's sandbox may still serve those who wait; and what is not the user's fault may pass.
    const hopeless = ERRORS[failure.code].fault === "user" || failure.code === "no-capacity";
    revision.refusal = hopeless ? failure : undefined;
    if (hopeless && revision.ready === 0 && revision.starting === 0) this.#events.refuse(revision, failure);
    void sleep(this.#deps.clock, pauseMs, this.#closed.signal).then(() => {
      // Timers may fire a little before their time; by the clock it would stay blocked, with nobody to look again.
      if (revision.blockedUntil === until) revision.blockedUntil = 0;
      this.scale(revision);
    });
  }

  /** Until the agent says that it is ready. @throws StartError */
  #readiness(sandbox: HeldSandbox): Promise<void> {
    const { clock } = this.#deps;
    const readyMs = this.#options.readyMs ?? READY_MS;
    return new Promise((resolve, reject) => {
      const timer = clock.after(readyMs, () =>
        settle({ kind: "gone", failure: { code: "start-failed", message: `not ready within ${readyMs} ms` } }),
      );
      const settle = (outcome: StartOutcome) => {
        clock.cancel(timer);
        this.#expected.delete(sandbox.id);
        if (outcome.kind === "ready") resolve();
        else reject(new StartError(outcome.kind, outcome.failure));
      };
      this.#expected.set(sandbox.id, settle);
      const early = this.#early.get(sandbox.id);
      if (early !== undefined) settle(early);
    });
  }

  /** Dials the guest and exchanges HELLO; afterwards the frames are the stream's. */
  async #connect(sandbox: HeldSandbox): Promise<void> {
    const { clock, network } = this.#deps;
    const stream = this.#events.openStream(sandbox);
    sandbox.stream = stream;
    const welcomed = Promise.withResolvers<void>();
    const handlers = stream.handlers;
    const greet = (frame: Frame) => {
      if (frame.type !== GUEST_FRAMES.HELLO)
        throw new ShapeError(`the data stream opened with a frame of type ${frame.type}`);
      parseJson(dataWelcome, frame.head, "HELLO");
      current = handlers.frame;
      welcomed.resolve();
    };
    let current = greet;
    const close = (error: Error | undefined) => {
      welcomed.reject(error ?? new Error("the guest closed the data stream"));
      handlers.close(error);
    };
    const link = await network.dial(sandbox.address, "data", { frame: (frame) => current(frame), close });
    stream.attach(link);
    link.send(
      GUEST_FRAMES.HELLO,
      0,
      0,
      JSON.stringify({ owner: this.#options.owner, epoch: this.#options.epoch }),
      null,
    );
    const withinMs = Math.max(WELCOME_MS, this.#options.readyMs ?? 0);
    const timer = clock.after(withinMs, () =>
      link.close(new Error(`no HELLO on the data stream within ${withinMs} ms`)),
    );
    await welcomed.promise.finally(() => clock.cancel(timer));
  }
}

class StartError extends Error {
  readonly kind: "failed" | "gone";
  readonly failure: Failure;

  constructor(kind: "failed" | "gone", failure: Failure) {
    super(failure.message);
    this.kind = kind;
    this.failure = failure;
  }
}
