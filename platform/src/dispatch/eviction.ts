import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { type Counter, createMetrics, type Metrics } from "#base/metrics.ts";
import type { AgentEvents } from "#contract/agent/link.ts";
import { memoryClassOf } from "#contract/config/memory-class.ts";
import { PlatformError, toFailure } from "#contract/errors.ts";
import { chooseVictims, type IdleGroup, spareMiB } from "#domain/scaling/eviction.ts";
import type { HeldSandbox } from "./held-sandbox.ts";
import type { Held, RevisionDispatch } from "./revision-dispatch.ts";

export interface EvictionEvents {
  revisions(): Iterable<RevisionDispatch>;
  /** It is idle, and is to be removed now. */
  evict(held: Held, reason: string): void;
}

/** A start that waits for room. */
interface Claim {
  readonly memoryMiB: number;
  /** What leaves for it, with its memory. */
  readonly leaving: Map<string, number>;
  /** Nothing of that is there any more. Rejects where that takes too long. */
  readonly gone: PromiseWithResolvers<void>;
}

/**
 * Room for a start where the host has none: idle sandboxes of others give way, and the start is asked for once more.
 *
 *     asked ──no-capacity──▶ claim ──what leaves is gone──▶ asked again ──▶ as the agent says
 *       ▲                      └──queue.timeout──▶ no-capacity
 *       └── later, while what is free is claimed
 *
 * Owns: claims, the eviction clock, what the agent said is free, `starved` of revisions. Does not own: whether a start is needed
 * (cold-start.ts), how a sandbox is removed (dispatcher.ts), which ones give way (domain/scaling/eviction.ts).
 * Invariants: 1. only what runs nothing, is not being thawed and is beyond its revision's minimum is evicted, and no more than the
 * start lacks; 2. a start evicts once; 3. what leaves, leaves for one claim; 4. nobody asks for what another's claim made free.
 */
export class Eviction {
  readonly #deps: { readonly clock: Clock; readonly log: Log };
  readonly #held: ReadonlyMap<string, Held>;
  readonly #events: EvictionEvents;
  readonly #evicted: Counter;
  readonly #claims = new Set<Claim>();
  /** Starts that do not ask while what is free is claimed. */
  readonly #later: (() => void)[] = [];
  /** Greedy-dual's, not a time. */
  #clock = 0;
  /** Until it is told, nothing is known to be lacking. */
  #freeMiB = Number.POSITIVE_INFINITY;

  /** `held`: every sandbox until the agent says that it is gone. */
  constructor(
    deps: { clock: Clock; log: Log; metrics?: Metrics },
    held: ReadonlyMap<string, Held>,
    events: EvictionEvents,
  ) {
    this.#deps = deps;
    this.#held = held;
    this.#events = events;
    const metrics = deps.metrics ?? createMetrics();
    this.#evicted = metrics.counter(
      "colibri_sandboxes_evicted_total",
      "Idle sandboxes removed to make room for others.",
    );
  }

  /** What `ask` answers; where there is no memory for it, once more when enough is free. @throws PlatformError of `ask` */
  async acquire<T>(revision: RevisionDispatch, ask: () => Promise<T>): Promise<T> {
    while (this.#claims.size > 0 && this.#lacksMiB(revision) > 0)
      await new Promise<void>((resolve) => this.#later.push(resolve));
    try {
      return await ask();
    } catch (error) {
      const claim = toFailure(error).code === "no-capacity" ? this.#makeRoom(revision) : undefined;
      if (claim === undefined) throw error;
      return this.#askAgain(revision, claim, ask);
    }
  }

  /** Whether memory that a start was refused for want of is there, or could be: it may be tried again. */
  fits(revision: RevisionDispatch): boolean {
    if (!revision.starved) return false;
    return this.#lacksMiB(revision) <= sum(this.#leaving().map(memoryOf)) + spareMiB(this.#idle(revision));
  }

  /** An invocation of it has ended, or its start. */
  used(sandbox: HeldSandbox): void {
    sandbox.usedAt = this.#clock;
  }

  onCapacity({ freeMiB }: AgentEvents["capacity"]): void {
    this.#freeMiB = freeMiB;
    this.#letAsk();
  }

  onGone(sandbox: string): void {
    for (const { leaving, gone } of this.#claims) if (leaving.delete(sandbox) && leaving.size === 0) gone.resolve();
  }

  /** What the agent would tell is lost. Who asks again hears that it is away. */
  onAway(): void {
    for (const { gone } of this.#claims) gone.resolve();
  }

  async #askAgain<T>(revision: RevisionDispatch, claim: Claim, ask: () => Promise<T>): Promise<T> {
    const { timeoutMs } = revision.policy.queue;
    const late = `no room for a sandbox of ${claim.memoryMiB} MiB: what gives way is not gone after ${timeoutMs} ms`;
    const timer = this.#deps.clock.after(timeoutMs, () => claim.gone.reject(new PlatformError("no-capacity", late)));
    try {
      await claim.gone.promise;
      return ask();
    } finally {
      // It has asked; whoever comes now comes after it.
      this.#deps.clock.cancel(timer);
      this.#claims.delete(claim);
      this.#letAsk();
    }
  }

  #letAsk(): void {
    for (const resume of this.#later.splice(0)) resume();
  }

  /** Undefined where nothing can give way, or memory is not what lacks. */
  #makeRoom(revision: RevisionDispatch): Claim | undefined {
    const lacksMiB = this.#lacksMiB(revision);
    revision.starved = lacksMiB > 0;
    const leaving = revision.starved ? this.#leaveFor(revision, lacksMiB) : undefined;
    if (leaving === undefined) return undefined;
    const memoryOfEach = new Map(leaving.map((held) => [held.sandbox.id, memoryOf(held)]));
    const claim = { memoryMiB: sizeOf(revision), leaving: memoryOfEach, gone: Promise.withResolvers<void>() };
    this.#claims.add(claim);
    return claim;
  }

  /** What leaves anyway comes first, then what is idle. */
  #leaveFor(revision: RevisionDispatch, neededMiB: number): Held[] | undefined {
    const leaving: Held[] = [];
    for (const held of this.#leaving()) if (sum(leaving.map(memoryOf)) < neededMiB) leaving.push(held);
    const lacksMiB = neededMiB - sum(leaving.map(memoryOf));
    if (lacksMiB <= 0) return leaving;
    const chosen = chooseVictims(this.#idle(revision), lacksMiB, this.#clock);
    if (chosen === undefined) return undefined;
    this.#clock = chosen.clock;
    const victims = chosen.victims.map(({ id }) => this.#held.get(id)!);
    for (const victim of victims) this.#evict(victim, revision);
    return [...leaving, ...victims];
  }

  #evict(held: Held, wanting: RevisionDispatch): void {
    const { revision, sandbox } = held;
    const idleMs = Math.round(this.#deps.clock.monotonic() - (sandbox.idleSinceMs ?? 0));
    const facts = { sandbox: sandbox.id, idleMs, for: wanting.key };
    this.#deps.log.info("idle sandbox gives way", { ...revision.ref, ...facts });
    this.#evicted.value++;
    this.#events.evict(held, `it was idle, and gives way to ${wanting.key}`);
  }

  /** What the start of one more sandbox lacks, as far as the agent has said. */
  #lacksMiB(revision: RevisionDispatch): number {
    let freeMiB = this.#freeMiB;
    for (const { memoryMiB, leaving } of this.#claims) freeMiB -= Math.max(0, memoryMiB - sum([...leaving.values()]));
    return sizeOf(revision) - Math.max(0, freeMiB);
  }

  /** Ordered to go, and claimed by nobody. */
  #leaving(): Held[] {
    const claimed = (id: string) => [...this.#claims].some(({ leaving }) => leaving.has(id));
    return [...this.#held.values()].filter(({ sandbox }) => sandbox.unwanted !== undefined && !claimed(sandbox.id));
  }

  /** What may give way to the revision. Who has callers waiting keeps what it has. */
  #idle(wanting: RevisionDispatch): IdleGroup<HeldSandbox>[] {
    const others = [...this.#events.revisions()].filter((each) => each !== wanting && each.waiting.length === 0);
    return others.flatMap((revision) => {
      const memoryMiB = sizeOf(revision);
      const sandboxes = [...revision.sandboxes.values()];
      const useless = sandboxes.filter(({ state }) => state === "loaded");
      const spare = Math.max(0, revision.ready - (revision.live ? revision.policy.scaling.min : 0));
      return [
        { memoryMiB, spare, idle: sandboxes.filter(({ idle }) => idle) },
        { memoryMiB, spare: useless.length, idle: useless },
      ];
    });
  }
}

function sizeOf({ plan }: RevisionDispatch): number {
  return memoryClassOf(plan.memoryMiB);
}

function memoryOf({ revision }: Held): number {
  return sizeOf(revision);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
