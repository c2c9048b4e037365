import { functionKey } from "#contract/names.ts";
import type { RoutePlan } from "#contract/plan/plan.ts";
import { NO_POOLS, type PoolRules } from "#domain/scaling/pool-rules.ts";
import { type Behaviour, DEFAULT_BEHAVIOUR } from "#drivers/sandbox/simulated/behaviour.ts";
import { SimulatedCluster } from "../cluster.ts";

export interface RandomOptions {
  readonly seed: number;
  readonly steps: number;
}

export interface Outcome {
  readonly submitted: number;
  readonly ran: number;
  readonly answered: number;
  /** Sandboxes that waited in a pool before they were held. */
  readonly pooled: number;
  /** Moments at which a sandbox was frozen. */
  readonly frozen: number;
  readonly evicted: number;
  /** By what the callers saw. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Longer than any wait, run, grace and back-off together. */
const QUIET_MS = 120_000;
/** The larger size is that of few functions, so that it gives way to the others. */
const POOLS: PoolRules = {
  named: [
    { runtime: "nodejs", memoryMiB: 128, min: 2, max: 5 },
    { runtime: "nodejs", memoryMiB: 192, min: 1, max: 3 },
  ],
  others: { min: 0, max: 0 },
};
const FUNCTIONS = ["steady", "flaky", "exclusive", "broken", "hostile"] as const;

const BEHAVIOURS: Readonly<Record<(typeof FUNCTIONS)[number], Partial<Behaviour>>> = {
  steady: { durationMs: [1, 40], answer: [0, 20_000] },
  flaky: { outcomes: { ok: 6, error: 3, exit: 1 }, initFails: 0.2 },
  exclusive: { durationMs: [5, 120] },
  broken: { loadFails: 0.4, initFails: 0.4, outcomes: { ok: 5, ignore: 1 } },
  hostile: { outcomes: { ok: 8, garbage: 1, hang: 1, "out-of-memory": 1 } },
};

/** Random deploys, invocations, departures, cuts and deaths, as the seed has it. @throws InvariantError */
export async function runRandom({ seed, steps }: RandomOptions): Promise<Outcome> {
  const cluster = new SimulatedCluster({
    seed,
    startFails: 0.05,
    pools: seed % 2 === 0 ? POOLS : NO_POOLS,
    behaviourOf: ({ function: name }) => ({ ...DEFAULT_BEHAVIOUR, ...BEHAVIOURS[name as (typeof FUNCTIONS)[number]] }),
  });
  const run = new RandomRun(cluster);
  await cluster.open();
  for (let step = 0; step < steps; step++) {
    await run.happen();
    await cluster.advance(cluster.random.below(30));
  }
  await cluster.advance(QUIET_MS);
  cluster.invariants.checkQuiet(cluster);
  await cluster.close();
  return {
    submitted: run.submitted,
    ran: cluster.invariants.ran,
    answered: cluster.invariants.answered,
    pooled: cluster.invariants.taken,
    frozen: cluster.invariants.frozen,
    evicted: cluster.evicted,
    outcomes: run.outcomes(),
  };
}

class RandomRun {
  readonly #cluster: SimulatedCluster;
  readonly #plans = new Map<string, RoutePlan>();
  readonly #callers: NonNullable<ReturnType<SimulatedCluster["invoke"]>>[] = [];
  #revisions = 0;
  submitted = 0;

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
  }

  /** One thing, mostly an invocation or a burst of them. */
  async happen(): Promise<void> {
    const point = this.#cluster.random.below(100);
    if (point < 70) this.#invoke(1 + this.#cluster.random.below(point < 10 ? 60 : 4));
    else if (point < 80) this.#deploy();
    else if (point < 85) this.#leave();
    else if (point < 90) await this.#killGuest();
    else if (point < 94) this.#cluster.network.cutOne();
    else if (point < 96) await this.#cluster.restartAgent();
    else if (point < 98) await this.#cluster.restartGateway();
    else this.#remove();
  }

  outcomes(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { seen, failure, gone } of this.#callers) {
      const outcome = gone ? "gone" : (failure?.code ?? seen);
      counts[outcome] = (counts[outcome] ?? 0) + 1;
    }
    return counts;
  }

  #invoke(count: number): void {
    const plan = this.#choose([...this.#plans.values()]);
    if (plan === undefined) return this.#deploy();
    for (let index = 0; index < count; index++) {
      const caller = this.#cluster.invoke(functionKey(plan));
      if (caller === undefined) continue;
      this.submitted++;
      this.#callers.push(caller);
    }
  }

  #deploy(): void {
    const { random } = this.#cluster;
    const name = this.#choose(FUNCTIONS)!;
    const revision = `r${++this.#revisions}`;
    const before = this.#plans.get(name);
    const keep = before !== undefined && random.below(3) === 0 ? before.live.slice(0, 1) : [];
    const plan: RoutePlan = {
      tenant: "default",
      app: "app",
      function: name,
      live: [
        { revision, weight: keep.length > 0 ? 50 : 100 },
        ...keep.map(({ revision: old }) => ({ revision: old, weight: 50 })),
      ],
      revisions: {
        ...(keep.length > 0 ? before!.revisions : {}),
        [revision]: {
          runtime: "nodejs",
          memoryMiB: name === "steady" ? 150 : 128,
          concurrency: name === "exclusive" ? 1 : 1 + random.below(8),
          timeoutMs: 300 + random.below(1_000),
        },
      },
      policy: {
        scaling: {
          min: random.below(3) === 0 ? 1 : 0,
          max: 1 + random.below(6),
          keepAliveMs: 500 + random.below(3_000),
          ...(random.below(4) > 0 && { freezeAfterMs: random.below(1_500) }),
        },
        queue: { length: 1 + random.below(50), timeoutMs: 500 + random.below(3_000) },
        limits: { bodyBytes: 1_000 },
        access: { kind: "open" },
        triggers: [],
      },
    };
    this.#plans.set(name, plan);
    this.#cluster.deploy(plan);
  }

  #remove(): void {
    const plan = this.#choose([...this.#plans.values()]);
    if (plan === undefined) return;
    this.#plans.delete(plan.function);
    this.#cluster.remove(plan);
  }

  #leave(): void {
    const caller = this.#choose([...this.#cluster.callers]);
    if (caller !== undefined) this.#cluster.leave(caller);
  }

  async #killGuest(): Promise<void> {
    const guest = this.#choose([...this.#cluster.host.guests.values()]);
    await guest?.die({ cause: "exited", detail: "exited with code 1" });
  }

  #choose<T>(from: readonly T[]): T | undefined {
    return from[this.#cluster.random.below(from.length)];
  }
}
