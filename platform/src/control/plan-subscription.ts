import { type Clock, sleep } from "#base/clock.ts";
import type { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  PLAN_BYTES,
  PLAN_PART_BYTES,
  PLAN_PART_ENTRIES,
  type PlanChange,
  type PlanTopic,
  type planEvents,
  type planQuestions,
  type planRequests,
} from "#contract/plan/plan.ts";
import type { TypeOf } from "#contract/shape.ts";
import type { PlanFeed } from "./plan-feed.ts";

/** Above this many bytes that a subscriber has not taken, nothing more is read for it. */
const BUFFERED_BYTES = 1024 * 1024;
const DRAIN_CHECK_MS = 10;
const FEED_CHECK_MS = 10;
/** A subscriber that takes nothing for so long is cut off: it resumes when it is well again. */
const STALL_MS = 10_000;
/** One that does not answer in this time is asked again if somebody still waits. */
const BARRIER_MS = 10_000;

type Subscribe = TypeOf<typeof planRequests.subscribe.request>;
export type PlanLink = MessageLink<typeof planQuestions, Record<never, never>, typeof planRequests, typeof planEvents>;
type Changes = { readonly number: number; readonly entries: readonly PlanChange[] };

export interface Subscriber {
  readonly role: string;
  readonly instance: string;
  readonly pid: number;
  readonly topic: PlanTopic;
  /** RFC 3339. */
  readonly since: string;
}

export interface PlanSubscriptionDeps {
  readonly feed: PlanFeed;
  readonly log: Log;
  readonly clock: Clock;
  /** A barrier was answered, or not in time: whoever waits looks again. */
  readonly onBarrierEnd: () => void;
}

/**
 * One subscriber. It pulls: what changed since the last number sent is read from the feed when the link has room, so a slow
 * one costs no memory beyond BUFFERED_BYTES and one part.
 *
 * Owns: the number sent last, the loop that sends, the number confirmed. Does not own: the link, the feed.
 * Invariants: 1. only the loop sends events, after the answer; 2. each `changes` starts where the last event ended; 3. a number
 * is passed only with the last part that leads to it; 4. one barrier at most is under way, asked when the number wanted was sent.
 */
export class PlanSubscription {
  readonly who: Subscriber;
  readonly #deps: PlanSubscriptionDeps;
  readonly #messages: PlanLink;
  readonly #request: Subscribe;
  readonly #ended = new AbortController();
  /** Number that the subscriber holds once it has read all that was sent; undefined: it needs a snapshot. */
  #sent: number | undefined;
  #wake: (() => void) | undefined;
  /** The largest number that somebody waits for; -1: nobody did yet. */
  #wanted = -1;
  /** In effect at the subscriber, as it said; -1: it said nothing yet. */
  #confirmed = -1;
  #isAsking = false;

  constructor(deps: PlanSubscriptionDeps, messages: PlanLink, request: Subscribe) {
    const { role, instance, pid, topic } = request;
    this.who = { role, instance, pid, topic, since: new Date(deps.clock.now()).toISOString() };
    this.#deps = deps;
    this.#messages = messages;
    this.#request = request;
  }

  async start(): Promise<{ store: string; number: number; resumed: boolean }> {
    const { feed, clock, log } = this.#deps;
    const { store, after } = this.#request;
    const resumable = store === feed.store && after > 0 && after <= feed.number();
    const resumed = resumable && (await feed.changesSince(this.who.topic, after)) !== undefined;
    log.info("plan subscriber", { ...this.who, after, resumed });
    // The answer leaves in the microtasks that follow; events must come behind it.
    clock.after(0, () => {
      if (resumed) this.#passed(after);
      void this.#run();
    });
    return { store: feed.store, number: feed.number(), resumed };
  }

  wake(): void {
    this.#wake?.();
  }

  end(): void {
    this.#ended.abort();
    this.wake();
  }

  hasConfirmed(number: number): boolean {
    return this.#confirmed >= number;
  }

  /** Asks the subscriber, as soon as this number was sent, whether it is in effect. */
  want(number: number): void {
    this.#wanted = Math.max(this.#wanted, number);
    this.#askBarrier();
  }

  async #run(): Promise<void> {
    const { feed } = this.#deps;
    try {
      while (!this.#ended.signal.aborted) {
        if (this.#sent === undefined) await this.#sendSnapshot();
        else if (this.#sent === feed.number()) await this.#changed();
        else await this.#sendChanges(this.#sent);
      }
    } catch (error) {
      this.#breakOff(error);
    }
  }

  async #sendSnapshot(): Promise<void> {
    const { feed } = this.#deps;
    const { number, entries } = await feed.snapshot(this.who.topic);
    for (const { part, last } of this.#parts(entries)) {
      if (!(await this.#room())) return;
      this.#messages.emit("snapshot", { store: feed.store, number, entries: part, done: last });
    }
    this.#passed(number);
  }

  async #sendChanges(from: number): Promise<void> {
    const changes: Changes | undefined = await this.#deps.feed.changesSince(this.who.topic, from);
    if (changes === undefined) {
      this.#sent = undefined;
      return;
    }
    // The feed counts on before it can be read: a moment later it will show.
    if (changes.number === from) return sleep(this.#deps.clock, FEED_CHECK_MS, this.#ended.signal);
    for (const { part, last } of this.#parts(changes.entries)) {
      if (!(await this.#room())) return;
      this.#messages.emit("changes", { from, number: last ? changes.number : from, entries: part });
    }
    this.#passed(changes.number);
  }

  #passed(number: number): void {
    this.#sent = number;
    this.#askBarrier();
  }

  #askBarrier(): void {
    const sent = this.#sent;
    if (sent === undefined || sent < this.#wanted || this.hasConfirmed(this.#wanted)) return;
    if (this.#isAsking || this.#ended.signal.aborted) return;
    this.#isAsking = true;
    this.#messages.ask("barrier", {}, BARRIER_MS).then(
      ({ number }) => this.#answered(number, sent),
      (error) => this.#unanswered(error),
    );
  }

  /** `sent` had been sent when it was asked. */
  #answered(number: number, sent: number): void {
    this.#isAsking = false;
    if (number < sent) return this.#breakOff(new Error(`it holds ${number} after it was sent ${sent}`));
    this.#confirmed = number;
    this.#askBarrier();
    this.#deps.onBarrierEnd();
  }

  #unanswered(error: unknown): void {
    this.#isAsking = false;
    if (this.#ended.signal.aborted) return;
    const isSilent = error instanceof PlatformError && error.code === "unavailable";
    if (!isSilent) return this.#breakOff(error);
    this.#deps.log.warn("plan subscriber does not answer", { ...this.who, error });
    this.#deps.onBarrierEnd();
  }

  #breakOff(error: unknown): void {
    this.#deps.log.error("plan stream broken off", { ...this.who, error });
    this.#messages.close(error instanceof Error ? error : new Error(String(error)));
  }

  /** Cut so that each part fits a frame; at least one, if empty. */
  *#parts(entries: readonly PlanChange[]): Generator<{ part: PlanChange[]; last: boolean }> {
    let part: PlanChange[] = [];
    let bytes = 0;
    for (const entry of entries) {
      const size = Buffer.byteLength(JSON.stringify(entry));
      if (size > PLAN_BYTES) {
        this.#deps.log.error("plan left out: too large", { key: entry.key, bytes: size, maximumBytes: PLAN_BYTES });
        continue;
      }
      if (part.length > 0 && (bytes + size > PLAN_PART_BYTES || part.length === PLAN_PART_ENTRIES)) {
        yield { part, last: false };
        part = [];
        bytes = 0;
      }
      part.push(entry);
      bytes += size;
    }
    yield { part, last: true };
  }

  /** Waits until the subscriber has taken enough; false when the stream is over. */
  async #room(): Promise<boolean> {
    const { clock } = this.#deps;
    let left = this.#messages.buffered;
    let since = clock.monotonic();
    while (!this.#ended.signal.aborted && this.#messages.buffered > BUFFERED_BYTES) {
      await sleep(clock, DRAIN_CHECK_MS, this.#ended.signal);
      if (this.#messages.buffered < left) since = clock.monotonic();
      else if (clock.monotonic() - since >= STALL_MS) throw new Error(`nothing taken for ${STALL_MS} ms`);
      left = this.#messages.buffered;
    }
    return !this.#ended.signal.aborted;
  }

  #changed(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    return promise;
  }
}
