import type { Clock } from "#base/clock.ts";
import { createDialer, type Dialed, type Dialer } from "#base/link/dialer.ts";
import type { Network } from "#base/link/link.ts";
import { type Heard, MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import {
  type PlanChange,
  type PlanOfTopic,
  type PlanTopic,
  planEvents,
  planProblem,
  planQuestions,
  planRequests,
} from "#contract/plan/plan.ts";
import { type PlanListener, type Plans, PlanTable } from "#ports/plans/index.ts";
import { PlanCopyFile } from "./copy.ts";

const SUBSCRIBE_MS = 10_000;
const SIDES = { asks: planRequests, hears: planEvents, serves: planQuestions, emits: {} };

export interface StreamPlansDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface StreamPlansOptions<T extends PlanTopic> {
  /** Where control serves the plan stream. */
  readonly address: string;
  readonly topic: T;
  /** The copy on disk is `<folder>/<topic>.json`. */
  readonly folder: string;
  readonly role: string;
  readonly instance: string;
  readonly pid: number;
}

/** Plans that follow control's plan stream (docs/contracts/plan-stream.md), with a copy on disk to start from. */
export function createStreamPlans<T extends PlanTopic>(
  deps: StreamPlansDeps,
  options: StreamPlansOptions<T>,
): Plans<PlanOfTopic[T]> {
  return new StreamPlans<T>(deps, options);
}

/**
 * Owns: the plans in memory, the number they stand for, the copy on disk, the link to control.
 * Does not own: what plans mean.
 * Invariants: 1. `#number` of `#store` is what the plans stand for, 0 before anything was read; 2. a snapshot takes effect
 * whole, with its last part; 3. changes are taken only if they start at `#number`, otherwise everything is asked for again;
 * 4. an entry that is not a plan changes nothing: the last good one stays; 5. a number is confirmed once the copy on disk holds
 * it too, unless it can't be written, which is logged.
 */
class StreamPlans<T extends PlanTopic> implements Plans<PlanOfTopic[T]> {
  readonly #log: Log;
  readonly #options: StreamPlansOptions<T>;
  readonly #table = new PlanTable<PlanOfTopic[T]>();
  readonly #copy: PlanCopyFile;
  readonly #dialer: Dialer;
  readonly #first = Promise.withResolvers<void>();
  #store = "";
  #number = 0;
  #ready = false;

  constructor(deps: StreamPlansDeps, options: StreamPlansOptions<T>) {
    this.#log = deps.log.with({ topic: options.topic });
    this.#options = options;
    this.#copy = new PlanCopyFile({ clock: deps.clock, log: this.#log }, options, () => ({
      store: this.#store,
      number: this.#number,
      entries: [...this.#table.entries()],
    }));
    this.#dialer = createDialer(deps, { address: options.address, kind: "plan" }, () => this.#dialed(deps.clock));
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await this.#readCopy();
    signal.throwIfAborted();
    this.#dialer.open();
    if (this.#ready) return;
    const { promise, reject } = Promise.withResolvers<never>();
    const abort = () => reject(signal.reason);
    signal.addEventListener("abort", abort);
    try {
      await Promise.race([this.#first.promise, promise]);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async close(): Promise<void> {
    await this.#dialer.close();
    await this.#copy.close();
  }

  get(key: string): PlanOfTopic[T] | undefined {
    return this.#table.get(key);
  }

  entries(): IterableIterator<[string, PlanOfTopic[T]]> {
    return this.#table.entries();
  }

  onChange(listener: PlanListener<PlanOfTopic[T]>): void {
    this.#table.onChange(listener);
  }

  get ready(): boolean {
    return this.#ready;
  }

  async #readCopy(): Promise<void> {
    const copy = await this.#copy.read();
    if (copy === undefined) return;
    this.#store = copy.store;
    this.#number = copy.number;
    this.#replace(new Map(Object.entries(copy.entries)));
    this.#log.info("plans read from disk", { number: copy.number, plans: Object.keys(copy.entries).length });
  }

  #dialed(clock: Clock): Dialed {
    const { role, instance, pid, topic } = this.#options;
    const messages = new MessageLink({ clock }, SIDES, {
      serve: { barrier: () => this.#kept() },
      hear: this.#hear(),
      closed: (error) => this.#log.info("plan stream gone: going on with the plans held", { error }),
    });
    const { frame, close } = messages.handlers;
    return {
      frame,
      close,
      opened: async (link) => {
        messages.attach(link);
        const request = { role, instance, pid, topic, store: this.#store, after: this.#number };
        const answer = await messages.ask("subscribe", request, SUBSCRIBE_MS);
        this.#log.info("plan stream up", answer);
      },
    };
  }

  /** What came before the question has been taken by now; it is confirmed when it would outlive this process. */
  async #kept(): Promise<{ number: number }> {
    const number = this.#number;
    await this.#copy.written();
    return { number };
  }

  /** What a new link says; a snapshot it did not finish goes with it. */
  #hear(): Heard<typeof planEvents> {
    let parts = new Map<string, unknown>();
    let started: number | undefined;
    return {
      snapshot: ({ store, number, entries, done }) => {
        if (started !== undefined && started !== number) throw new Error("a snapshot within a snapshot");
        started = number;
        for (const entry of entries) if (entry.kind === "put") parts.set(entry.key, entry.plan);
        if (!done) return;
        this.#store = store;
        this.#number = number;
        this.#replace(parts);
        this.#copy.changed();
        parts = new Map();
        started = undefined;
      },
      changes: ({ from, number, entries }) => {
        if (started !== undefined || from !== this.#number) return this.#startOver(from);
        this.#number = number;
        for (const entry of entries) this.#apply(entry);
        // A number alone is not worth a write: from an older one, the same plans are reached.
        if (entries.length > 0) this.#copy.changed();
      },
    };
  }

  #startOver(from: number): never {
    const held = this.#number;
    this.#number = 0;
    throw new Error(`a gap in the plan stream: changes from ${from}, held are ${held}; asking for everything`);
  }

  #apply(change: PlanChange): void {
    if (change.kind === "remove") {
      this.#table.remove(change.key);
      return;
    }
    const plan = this.#checked(change.key, change.plan);
    if (plan !== undefined) this.#table.put(change.key, plan);
  }

  #replace(entries: Map<string, unknown>): void {
    const plans = new Map<string, PlanOfTopic[T]>();
    for (const [key, value] of entries) {
      const plan = this.#checked(key, value) ?? this.#table.get(key);
      if (plan !== undefined) plans.set(key, plan);
    }
    this.#ready = true;
    this.#table.replace(plans);
    this.#first.resolve();
  }

  #checked(key: string, value: unknown): PlanOfTopic[T] | undefined {
    const problem = planProblem(this.#options.topic, key, value);
    if (problem === undefined) return value as PlanOfTopic[T];
    this.#log.error("plan skipped", { key, problem: `plan${problem}` });
    return undefined;
  }
}
