import type { Clock } from "#base/clock.ts";
import type { Link, LinkHandlers, Listener, Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import type { Log } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";
import { type PlanTopic, planEvents, planQuestions, planRequests } from "#contract/plan/plan.ts";
import { Notices } from "./notices.ts";
import type { PlanFeed } from "./plan-feed.ts";
import { type PlanLink, PlanSubscription, type Subscriber } from "./plan-subscription.ts";

const SIDES = { asks: planQuestions, hears: {}, serves: planRequests, emits: planEvents };

/** `unsettled`: those who are connected and have not confirmed; none when nobody is connected at all. */
export type Settlement =
  | { readonly kind: "settled" }
  | { readonly kind: "unsettled"; readonly waitingFor: readonly Subscriber[] };

export interface PlanServer {
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Who is connected now. */
  subscribers(): Subscriber[];
  /**
   * Waits until plans up to this number are in effect at all subscribers of the topic that are connected, one at least. Who
   * leaves meanwhile is not waited for. Gives up after `boundMs`, or when the signal aborts.
   */
  settled(topic: PlanTopic, number: number, boundMs: number, signal: AbortSignal): Promise<Settlement>;
}

export interface PlanServerDeps {
  readonly network: Network;
  readonly feed: PlanFeed;
  readonly log: Log;
  readonly clock: Clock;
}

/** Serves the plan stream (docs/contracts/plan-stream.md) to gateways and agents. */
export function createPlanServer(deps: PlanServerDeps, options: { readonly address: string }): PlanServer {
  const subscriptions = new Set<PlanSubscription>();
  /** By topic: subscribers come and go, and confirm. */
  const notices = new Notices();
  let listener: Listener | undefined;

  deps.feed.onChange(() => {
    for (const subscription of subscriptions) subscription.wake();
  });

  function accept(link: Link): LinkHandlers {
    let subscription: PlanSubscription | undefined;
    const messages: PlanLink = new MessageLink(deps, SIDES, {
      serve: {
        subscribe(request) {
          if (subscription !== undefined) throw new PlatformError("conflict", "this link is subscribed already");
          const onBarrierEnd = () => notices.tell(request.topic);
          subscription = new PlanSubscription({ ...deps, onBarrierEnd }, messages, request);
          subscriptions.add(subscription);
          notices.tell(request.topic);
          return subscription.start();
        },
      },
      hear: {},
      closed(error) {
        if (subscription === undefined) return;
        subscriptions.delete(subscription);
        subscription.end();
        notices.tell(subscription.who.topic);
        deps.log.info("plan subscriber gone", { ...subscription.who, error });
      },
    });
    messages.attach(link);
    return messages.handlers;
  }

  async function settled(topic: PlanTopic, number: number, boundMs: number, signal: AbortSignal): Promise<Settlement> {
    const bound = new AbortController();
    const over = bound.signal;
    const giveUp = () => bound.abort();
    const timer = deps.clock.after(boundMs, giveUp);
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
    try {
      for (;;) {
        const connected = [...subscriptions].filter(({ who }) => who.topic === topic);
        const missing = connected.filter((subscription) => !subscription.hasConfirmed(number));
        if (connected.length > 0 && missing.length === 0) return { kind: "settled" };
        if (over.aborted) return { kind: "unsettled", waitingFor: missing.map(({ who }) => who) };
        const news = notices.next(topic, over);
        for (const subscription of missing) subscription.want(number);
        await news;
      }
    } finally {
      deps.clock.cancel(timer);
      signal.removeEventListener("abort", giveUp);
    }
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
    settled,
  };
}
