import type { Network } from "#base/link/link.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type PlanChange, type PlanTopic, planEvents, planQuestions, planRequests } from "#contract/plan/plan.ts";
import type { TypeOf } from "#contract/shape.ts";
import { routePlanOf } from "#ports/plans/conformance.ts";
import type { PlanFeed } from "./plan-feed.ts";
import { createPlanServer } from "./plan-server.ts";

export const keyOf = (name: string) => `acme/shop/${name}`;
export const subscriber = { address: "control", topic: "routes", role: "gateway", pid: 7 } as const;
const SIDES = { asks: planRequests, hears: planEvents, serves: planQuestions, emits: {} };

/** A feed in memory that remembers as many changes as `history` says. */
export class MemoryFeed implements PlanFeed {
  store = "store-1";
  history = Number.POSITIVE_INFINITY;
  readonly plans = new Map<string, PlanChange & { kind: "put" }>();
  readonly #log: { number: number; key: string }[] = [];
  readonly #listeners: (() => void)[] = [];
  #number = 0;

  put(name: string, concurrency: number, padding = ""): void {
    const plan = { ...routePlanOf(name, concurrency), padding };
    this.plans.set(keyOf(name), { kind: "put", key: keyOf(name), plan });
    this.#changed(keyOf(name));
  }

  remove(name: string): void {
    if (this.plans.delete(keyOf(name))) this.#changed(keyOf(name));
  }

  /** A change of the other topic. */
  elsewhere(): void {
    this.#changed("");
  }

  /** As after a restore from a backup: other numbers, other plans. */
  restart(store: string): void {
    this.store = store;
    this.#log.length = 0;
    this.#number = 3;
    this.plans.clear();
  }

  number(): number {
    return this.#number;
  }

  async snapshot() {
    return { number: this.#number, entries: [...this.plans.values()] };
  }

  async changesSince(_topic: string, after: number) {
    const oldest = this.#log[0]?.number ?? this.#number + 1;
    if (after + 1 < oldest) return undefined;
    const keys = new Set(this.#log.filter((row) => row.number > after && row.key !== "").map((row) => row.key));
    const entries = [...keys].map((key): PlanChange => this.plans.get(key) ?? { kind: "remove", key });
    return { number: this.#number, entries };
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  #changed(key: string): void {
    this.#log.push({ number: ++this.#number, key });
    while (this.#log.length > this.history) this.#log.shift();
    for (const listener of this.#listeners) listener();
  }
}

type Event = TypeOf<typeof planEvents.changes | typeof planEvents.snapshot>;

/** Speaks to the server message by message. It answers a barrier with the number it heard, unless told otherwise. */
async function connect(network: Network, clock: SimulatedClock, instance: string) {
  const events: Event[] = [];
  const asked = { barriers: 0 };
  const numberHeard = () => events.reduce((_, event) => event.number, 0);
  const reader = { barrier: (): { number: number } | Promise<{ number: number }> => ({ number: numberHeard() }) };
  const messages = new MessageLink({ clock }, SIDES, {
    serve: {
      barrier() {
        asked.barriers++;
        return reader.barrier();
      },
    },
    hear: { snapshot: (value) => events.push(value), changes: (value) => events.push(value) },
    closed() {},
  });
  const dialing = network.dial("control", "plan", messages.handlers);
  await clock.advance(10);
  messages.attach(await dialing);
  const subscribe = async (store: string, after: number, topic: PlanTopic = "routes") => {
    const answer = messages.ask("subscribe", { ...subscriber, topic, instance, store, after }, 1_000);
    answer.catch(() => {});
    await clock.advance(20);
    return answer;
  };
  return { events, subscribe, asked, reader, numberHeard, close: () => messages.close() };
}

export async function createStage() {
  const clock = new SimulatedClock();
  const network = createSimulatedNetwork(clock, createSeededRandom(1), { delayMs: [1, 1] });
  const feed = new MemoryFeed();
  const lines: { level: string; message: string; key?: string }[] = [];
  const log = createLog({ clock, write: (line) => lines.push(JSON.parse(line)) }, { level: "info" });
  const server = createPlanServer({ network, clock, log, feed }, { address: "control" });
  await server.open(new AbortController().signal);
  return { clock, network, feed, lines, server, connect: (instance = "g1") => connect(network, clock, instance) };
}
