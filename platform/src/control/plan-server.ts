import { type Clock, sleep } from "#base/clock.ts";
import type { Link, LinkHandlers, Listener, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  PLAN_BYTES,
  PLAN_PART_BYTES,
  PLAN_PART_ENTRIES,
  type PlanChange,
  type PlanTopic,
  planEvents,
  planRequests,
} from "#contract/plan/plan.ts";
import type { TypeOf } from "#contract/shape.ts";
import type { PlanFeed } from "./plan-feed.ts";

/** Above this many bytes that a subscriber has not taken, nothing more is read for it. */
const BUFFERED_BYTES = 1024 * 1024;
const DRAIN_CHECK_MS = 10;
const FEED_CHECK_MS = 10;
/** A subscriber that takes nothing for so long is cut off: it resumes when it is well again. */
const STALL_MS = 10_000;

const SIDES = { asks: {}, hears: {}, serves: planRequests, emits: planEvents };
type Subscribe = TypeOf<typeof planRequests.subscribe.request>;
type PlanLink = MessageLink<Record<never, never>, Record<never, never>, typeof planRequests, typeof planEvents>;
type Changes = { readonly number: number; readonly entries: readonly PlanChange[] };

export interface Subscriber {
  readonly role: string;
  readonly instance: string;
  readonly pid: number;
  readonly topic: PlanTopic;
  /** RFC 3339. */
  readonly since: string;
}

export interface PlanServer {
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Who is connected now. */
  subscribers(): Subscriber[];
}

export interface PlanServerDeps {
  readonly network: Network;
  readonly feed: PlanFeed;
  readonly log: Log;
  readonly clock: Clock;
}

/** Serves the plan stream (docs/contracts/plan-stream.md) to gateways and agents. */
export function createPlanServer(deps: PlanServerDeps, options: { readonly address: string }): PlanServer {
  const subscriptions = new Set<Subscription>();
  let listener: Listener | undefined;

  deps.feed.onChange(() => {
    for (const subscription of subscriptions) subscription.wake();
  });

  function accept(link: Link): LinkHandlers {
    let subscription: Subscription | undefined;
    const messages: PlanLink = new MessageLink(deps, SIDES, {
      serve: {
        subscribe(request) {
          if (subscription !== undefined) throw new PlatformError("conflict", "this link is subscribed already");
          subscription = new Subscription(deps, messages, request);
          subscriptions.add(subscription);
          return subscription.start();
        },
      },
      hear: {},
      closed(error) {
        if (subscription === undefined) return;
        subscriptions.delete(subscription);
        subscription.end();
        deps.log.info("plan subscriber gone", { ...subscription.who, error });
      },
    });
    messages.attach(link);
    return messages.handlers;
  }

  return {
    async open(signal) {
      signal.throwIfAborted();
      listener = await deps.network.listen(options.address, ["plan"], accept);
    },
    async close() {
      const open = listener;
      listener = undefined;
      await open?.close();
    },
    subscribers: () => [...subscriptions].map((subscription) => subscription.who),
  };
}

/**
 * One subscriber. It pulls: what changed since the last number sent is read from the feed when the link has room, so a slow
 * one costs no memory beyond BUFFERED_BYTES and one part.
 *
 * Owns: the number sent last, and the loop that sends. Does not own: the link, the feed.
 * Invariants: 1. only the loop sends events, after the answer; 2. each `changes` starts where the last event ended; 3. a number
 * is passed only with the last part that leads to it.
 */
class Subscription {
  readonly who: Subscriber;
  readonly #deps: PlanServerDeps;
  readonly #messages: PlanLink;
  readonly #request: Subscribe;
  readonly #ended = new AbortController();
  /** Number that the subscriber holds once it has read all that was sent; undefined: it needs a snapshot. */
  #sent: number | undefined;
  #wake: (() => void) | undefined;

  constructor(deps: PlanServerDeps, messages: PlanLink, request: Subscribe) {
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
    if (resumable && (await feed.changesSince(this.who.topic, after)) !== undefined) this.#sent = after;
    const resumed = this.#sent !== undefined;
    log.info("plan subscriber", { ...this.who, after, resumed });
    // The answer leaves in the microtasks that follow; events must come behind it.
    clock.after(0, () => void this.#run());
    return { store: feed.store, number: feed.number(), resumed };
  }

  wake(): void {
    this.#wake?.();
  }

  end(): void {
    this.#ended.abort();
    this.wake();
  }

  async #run(): Promise<void> {
    const { feed, log } = this.#deps;
    try {
      while (!this.#ended.signal.aborted) {
        if (this.#sent === undefined) await this.#sendSnapshot();
        else if (this.#sent === feed.number()) await this.#changed();
        else await this.#sendChanges(this.#sent);
      }
    } catch (error) {
      log.error("plan stream broken off", { ...this.who, error });
      this.#messages.close(error instanceof Error ? error : new Error(String(error)));
    }
  }

  async #sendSnapshot(): Promise<void> {
    const { feed } = this.#deps;
    const { number, entries } = await feed.snapshot(this.who.topic);
    for (const { part, last } of this.#parts(entries)) {
      if (!(await this.#room())) return;
      this.#messages.emit("snapshot", { store: feed.store, number, entries: part, done: last });
    }
    this.#sent = number;
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
    this.#sent = changes.number;
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
