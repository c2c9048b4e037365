import type { Clock, Timer } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { Metrics } from "#base/metrics.ts";
import type { Random } from "#base/random.ts";
import type { AgentEvents, GoneCause, SandboxState, SandboxView } from "#contract/agent/link.ts";
import type { ErrorCode, Failure } from "#contract/errors.ts";
import type { MisroutedReason } from "#contract/guest/link.ts";
import type { FunctionRef, RevisionRef } from "#contract/names.ts";
import { functionKey } from "#contract/names.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import { chooseRevision } from "#domain/placement/split.ts";
import { expired } from "#domain/scaling/keep-alive.ts";
import { Acquire } from "./acquire.ts";
import { AgentClient } from "./agent-client.ts";
import type { Answer } from "./answer.ts";
import { ColdStarts } from "./cold-start.ts";
import { Eviction } from "./eviction.ts";
import { Forward } from "./forward.ts";
import { Freezing } from "./freezing.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import { Invocation, type InvocationStart } from "./invocation.ts";
import { type Held, RevisionDispatch } from "./revision-dispatch.ts";

const DELETED: Failure = { code: "function-not-found", message: "the function was deleted" };
/** States of a sandbox that can serve, or will. */
const ADOPTED: readonly SandboxState[] = ["ready", "frozen", "loading", "initialising"];
const SWEEP_MS = 1_000;
/** How long the agent has to say why a sandbox is gone before it is told to remove it. */
const GONE_MS = 2_000;
/** For user code to end by itself: shutdown handlers, what still runs beside invocations. */
const END_GRACE_MS = 10_000;

export interface DispatcherDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly network: Network;
  readonly log: Log;
  /** Hop 5: called once for each invocation, when its caller has the answer. */
  readonly settle: (invocation: Invocation) => void;
  /** How each start ended, for whoever shows it. */
  readonly starts?: StartEvents;
  /** Default: counted for nobody. */
  readonly metrics?: Metrics;
}

export interface StartEvents {
  started(ref: RevisionRef): void;
  startFailed(ref: RevisionRef, failure: Failure): void;
}

export interface DispatcherOptions {
  readonly owner: string;
  readonly epoch: number;
  readonly agentAddress: string;
  readonly concurrentStarts: number;
  /** For a sandbox to load and initialise its code; see ColdStartOptions. */
  readonly readyMs?: number;
}

/** One function under this owner: its revisions, and how callers are split among them. */
interface OwnedFunction {
  plan: RoutePlan;
  readonly revisions: Map<string, RevisionDispatch>;
}

/**
 * Dispatch of the functions this gateway owns.
 *
 * Owns: the functions, and with them queue, slots and scale of each; it is the only writer of all of it.
 * Does not own: routes and HTTP (gateway), sandboxes themselves (agent).
 * Invariants: 1. a sandbox the agent says is gone is in no revision; 2. a revision that is not live, has no sandbox and nobody
 * waiting is forgotten; 3. nothing here waits for control.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #functions = new Map<string, OwnedFunction>();
  /** Every sandbox until the agent says that it is gone, also those that no revision counts any more. */
  readonly #held = new Map<string, Held>();
  readonly #agent: AgentClient;
  readonly #acquire: Acquire;
  readonly #forward: Forward;
  readonly #starts: ColdStarts;
  readonly #eviction: Eviction;
  readonly #freezing: Freezing;
  #sweep: Timer | undefined;

  constructor(deps: DispatcherDeps, options: DispatcherOptions) {
    this.#deps = deps;
    this.#agent = new AgentClient(
      deps,
      { address: options.agentAddress, owner: options.owner, epoch: options.epoch },
      {
        listed: (sandboxes) => this.#listed(sandboxes),
        away: () => this.#away(),
        ready: (event) => this.#starts.onReady(event),
        failed: (event) => this.#starts.onFailed(event),
        gone: (event) => this.#gone(event),
        health: (event) => this.#health(event.sandbox, event.state === "busy"),
        capacity: (event) => this.#eviction.onCapacity(event),
      },
    );
    this.#eviction = new Eviction(deps, this.#held, {
      revisions: () => this.#all(),
      evict: ({ revision, sandbox }, reason) => this.#remove(revision, sandbox, reason, "idle"),
    });
    this.#starts = new ColdStarts(deps, this.#agent, this.#eviction, options, {
      held: (revision, sandbox) => this.#held.set(sandbox.id, { revision, sandbox }),
      ready: (revision, sandbox) => this.#ready(revision, sandbox),
      failed: (revision, failure) => deps.starts?.startFailed(revision.ref, failure),
      refuse: (revision, failure) => this.#acquire.refuseAll(revision, failure),
      openStream: (sandbox) => this.#forward.openStream(sandbox),
    });
    this.#freezing = new Freezing(deps, this.#agent, {
      thawed: (revision) => this.#thawed(revision),
      lost: (revision, sandbox, reason) => this.#giveUp(revision, sandbox, reason),
    });
    this.#acquire = new Acquire(deps, {
      forward: (invocation) => this.#forward.send(invocation),
      scale: (revision) => this.#scale(revision),
      passed: (revision) => this.#passed(revision),
      over: deps.settle,
    });
    this.#forward = new Forward(deps, {
      freed: (invocation) => this.#freed(invocation),
      refused: (sandbox, reason) => this.#refused(sandbox, reason),
      again: (invocation) => this.#again(invocation),
      over: deps.settle,
      kill: (sandbox, cause, reason) => this.#kill(sandbox, cause, reason),
      lost: (sandbox) => this.#lost(sandbox),
    });
  }

  open(): void {
    this.#agent.open();
    this.#sweepLater();
  }

  async close(): Promise<void> {
    if (this.#sweep !== undefined) this.#deps.clock.cancel(this.#sweep);
    this.#starts.close();
    await this.#agent.close();
    for (const revision of this.#all()) for (const sandbox of revision.sandboxes.values()) sandbox.stream?.close();
  }

  /** Which revision an invocation of the function gets now; undefined when there is no such function. */
  route(key: string): RevisionDispatch | undefined {
    const owned = this.#functions.get(key);
    if (owned === undefined) return undefined;
    const live = owned.plan.live;
    const revision = live.length === 1 ? live[0]!.revision : chooseRevision(live, this.#deps.random.next());
    return owned.revisions.get(revision);
  }

  /** The answer comes through `answer`, perhaps before this returns. */
  submit(start: InvocationStart, routed: RevisionDispatch, answer: Answer): Invocation {
    // While its body was read, another revision may have taken the place of the one it was routed to.
    const revision = routed.retired ? (this.route(functionKey(routed.ref)) ?? routed) : routed;
    const invocation = new Invocation(start, revision, answer);
    if (revision.retired) this.#acquire.refuse(invocation, DELETED);
    else this.#acquire.submit(invocation);
    return invocation;
  }

  /** The caller is done with it before its answer was; `outcome` says why. */
  leave(invocation: Invocation, outcome: ErrorCode): void {
    if (invocation.phase === "over") return;
    if (invocation.phase === "waiting") this.#acquire.leave(invocation, outcome);
    else this.#forward.leave(invocation, outcome);
  }

  /** The caller has taken bytes of a streamed answer. */
  taken(invocation: Invocation, bytes: number): void {
    invocation.sandbox?.stream?.credit(invocation, bytes);
  }

  setPlan(plan: RoutePlan): void {
    const key = functionKey(plan);
    const owned = this.#functions.get(key) ?? { plan, revisions: new Map<string, RevisionDispatch>() };
    owned.plan = plan;
    this.#functions.set(key, owned);
    for (const revision of owned.revisions.values()) {
      revision.policy = plan.policy;
      revision.live = plan.live.some((part) => part.revision === revision.ref.revision);
    }
    for (const { revision: name } of plan.live) {
      const revision = owned.revisions.get(name) ?? this.#create(plan, name);
      owned.revisions.set(name, revision);
      this.#scale(revision);
    }
    this.#retire(owned);
  }

  removePlan(ref: FunctionRef): void {
    const key = functionKey(ref);
    const owned = this.#functions.get(key);
    if (owned === undefined) return;
    this.#functions.delete(key);
    for (const revision of owned.revisions.values()) {
      revision.live = false;
      revision.retired = true;
      this.#acquire.refuseAll(revision, DELETED);
      for (const sandbox of [...revision.sandboxes.values()])
        this.#drain(revision, sandbox, "the function was deleted");
    }
  }

  /** For metrics, health and tests. */
  *revisions(): Iterable<RevisionDispatch> {
    yield* this.#all();
  }

  *#all(): Iterable<RevisionDispatch> {
    for (const owned of this.#functions.values()) yield* owned.revisions.values();
  }

  #create(plan: RoutePlan, name: string): RevisionDispatch {
    const ref = { tenant: plan.tenant, app: plan.app, function: plan.function, revision: name };
    return new RevisionDispatch(ref, plan.revisions[name]!, plan.policy);
  }

  /** More slots for those who wait: frozen sandboxes first, then new ones. */
  #scale(revision: RevisionDispatch): void {
    this.#freezing.thaw(revision);
    this.#starts.scale(revision);
  }

  /** There is, or could be, the room that its last start was refused for. */
  #passed(revision: RevisionDispatch): boolean {
    const fits = this.#eviction.fits(revision);
    if (fits) this.#starts.unblock(revision);
    return fits;
  }

  #thawed(revision: RevisionDispatch): void {
    this.#acquire.serve(revision);
    this.#scale(revision);
  }

  #freed(invocation: Invocation): void {
    const { revision, sandbox } = invocation;
    revision.give(invocation, this.#deps.clock.monotonic());
    this.#eviction.used(sandbox!);
    if (sandbox!.stream?.exhausted) sandbox!.state = "draining";
    if (sandbox!.state === "draining" && sandbox!.used === 0) this.#remove(revision, sandbox!, "drained");
    if (revision.waiting.length > 0) {
      this.#acquire.serve(revision);
      this.#scale(revision);
    }
  }

  #again(invocation: Invocation): void {
    if (invocation.revision.retired) this.#acquire.refuse(invocation, DELETED);
    else this.#acquire.again(invocation);
  }

  /**
   * What it runs, perhaps for an owner before us, it may finish; then the agent removes it. On stream 0 the guest refuses the
   * stream as a whole, and closes it.
   */
  #refused(sandbox: HeldSandbox, reason: MisroutedReason): void {
    const held = this.#held.get(sandbox.id);
    if (held === undefined || sandbox.state !== "ready") return;
    sandbox.state = "gone";
    held.revision.sandboxes.delete(sandbox.id);
    this.#agent.drain(sandbox.id, held.revision.plan.timeoutMs, `it refused an invocation: ${reason}`);
  }

  /** No new invocations; gone when the running ones are done. */
  #drain(revision: RevisionDispatch, sandbox: HeldSandbox, reason: string): void {
    if (sandbox.state === "ready" || sandbox.state === "loaded") sandbox.state = "draining";
    if (sandbox.used === 0 && sandbox.state === "draining") this.#remove(revision, sandbox, reason);
  }

  /** It runs nothing, and may end as its code wishes to. */
  #remove(revision: RevisionDispatch, sandbox: HeldSandbox, reason: string, cause: GoneCause = "stopped"): void {
    sandbox.state = "gone";
    revision.sandboxes.delete(sandbox.id);
    this.#letGo(sandbox, cause, reason);
    sandbox.stream?.close();
  }

  /** It runs nothing, and nothing can be asked of it. */
  #giveUp(revision: RevisionDispatch, sandbox: HeldSandbox, reason: string): void {
    this.#deps.log.warn("sandbox is given up", { sandbox: sandbox.id, reason });
    this.#remove(revision, sandbox, reason, "killed");
    this.#scale(revision);
  }

  #kill(sandbox: HeldSandbox, cause: GoneCause, reason: string): void {
    this.#deps.log.warn("sandbox is killed", { sandbox: sandbox.id, cause, reason });
    if (sandbox.state === "ready") sandbox.state = "draining";
    this.#letGo(sandbox, cause, reason);
  }

  #letGo(sandbox: HeldSandbox, cause: GoneCause, reason: string): void {
    sandbox.unwanted = { cause, reason };
    this.#endSandbox(sandbox.id, cause, reason);
  }

  #endSandbox(id: string, cause: GoneCause, reason: string): void {
    if (cause === "stopped") this.#agent.drain(id, END_GRACE_MS, reason);
    else this.#agent.release(id, cause, reason);
  }

  /** The data stream is gone, and with it all use of the sandbox. The agent is left a moment to say why. */
  #lost(sandbox: HeldSandbox): void {
    const held = this.#held.get(sandbox.id);
    if (held === undefined || sandbox.state === "starting" || sandbox.state === "gone") return;
    sandbox.state = "gone";
    held.revision.sandboxes.delete(sandbox.id);
    this.#deps.clock.after(GONE_MS, () => {
      if (this.#held.has(sandbox.id)) this.#agent.release(sandbox.id, "exited", "the data stream closed");
    });
    this.#scale(held.revision);
  }

  #away(): void {
    this.#starts.onAway();
    this.#eviction.onAway();
  }

  #gone(event: AgentEvents["gone"]): void {
    this.#starts.onGone(event);
    const held = this.#held.get(event.sandbox);
    if (held === undefined) return;
    this.#held.delete(event.sandbox);
    this.#eviction.onGone(event.sandbox);
    const { revision, sandbox } = held;
    sandbox.setCause(event.failure);
    if (sandbox.state === "starting" || sandbox.state === "gone") return;
    sandbox.state = "gone";
    revision.sandboxes.delete(sandbox.id);
    sandbox.stream?.close();
    this.#scale(revision);
  }

  #ready(revision: RevisionDispatch, sandbox: HeldSandbox): void {
    this.#deps.starts?.started(revision.ref);
    this.#eviction.used(sandbox);
    if (revision.retired) {
      this.#remove(revision, sandbox, "the function was deleted while it started");
      return;
    }
    this.#acquire.serve(revision, sandbox);
  }

  #health(id: string, busy: boolean): void {
    const held = this.#held.get(id);
    if (held === undefined) return;
    const { revision, sandbox } = held;
    sandbox.busy = busy;
    revision.list(sandbox);
    this.#acquire.serve(revision);
    this.#scale(revision);
  }

  /** After every (re)connect: take over what is bound to what we own, let go of the rest. */
  #listed(views: readonly SandboxView[]): void {
    this.#freezing.onUp();
    const present = new Set(views.map((view) => view.sandbox));
    for (const id of [...this.#held.keys()]) if (!present.has(id)) this.#gone({ sandbox: id, cause: "host" });
    for (const view of views) {
      const held = this.#held.get(view.sandbox);
      const known = held?.sandbox;
      if (known !== undefined && known.state !== "gone" && known.unwanted === undefined) {
        this.#freezing.onListed(held!.revision, known, view.state);
        continue;
      }
      const revision = known === undefined ? this.#adopterOf(view) : undefined;
      const { cause, reason } = known?.unwanted ?? { cause: "stopped", reason: "nobody needs it" };
      if (revision === undefined) this.#endSandbox(view.sandbox, cause, reason);
      else this.#starts.adopt(revision, view);
    }
    for (const revision of this.#all()) this.#scale(revision);
  }

  /** The revision that can use a sandbox which an earlier run, or an earlier link, left. */
  #adopterOf({ bound, state }: SandboxView): RevisionDispatch | undefined {
    if (bound === undefined || !ADOPTED.includes(state)) return undefined;
    const revision = this.#functions.get(functionKey(bound))?.revisions.get(bound.revision);
    if (revision === undefined) return undefined;
    return revision.ready + revision.starting < revision.policy.scaling.max ? revision : undefined;
  }

  #retire(owned: OwnedFunction): void {
    for (const [name, revision] of owned.revisions) {
      if (revision.live) continue;
      if (revision.sandboxes.size > 0 || revision.waiting.length > 0 || revision.starting > 0) continue;
      revision.retired = true;
      owned.revisions.delete(name);
    }
  }

  #sweepLater(): void {
    this.#sweep = this.#deps.clock.after(SWEEP_MS, () => {
      this.#sweepIdle();
      this.#sweepLater();
    });
  }

  #sweepIdle(): void {
    for (const owned of this.#functions.values()) {
      for (const revision of owned.revisions.values()) this.#sweepRevision(revision);
      this.#retire(owned);
    }
  }

  #sweepRevision(revision: RevisionDispatch): void {
    const now = this.#deps.clock.monotonic();
    const { live, policy } = revision;
    const { min, max, keepAliveMs } = policy.scaling;
    const of = (state: HeldSandbox["state"]) =>
      [...revision.sandboxes.values()].filter((sandbox) => sandbox.state === state);
    // One that is being thawed has somebody who waits for it.
    const there = of("ready").filter(({ frozen }) => frozen !== "thawing");
    const idle = expired(there, { live, keepAliveMs, min, max }, now);
    const useless = expired(of("loaded"), { live, keepAliveMs, min: 0, max }, now);
    for (const sandbox of [...idle, ...useless]) this.#remove(revision, sandbox, "idle");
    this.#freezing.sweep(revision);
  }
}
