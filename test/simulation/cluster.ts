import { createHash } from "node:crypto";
import { createIds } from "#base/ids.ts";
import { createSimulatedNetwork, type SimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createMetrics } from "#base/metrics.ts";
import { createSeededRandom, type Random } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import type { PoolRules } from "#domain/scaling/pool-rules.ts";
import { createMemoryPlans } from "#drivers/plans/memory/driver.ts";
import type { Behaviour } from "#drivers/sandbox/simulated/behaviour.ts";
import { createSimulatedDriver, createSimulatedHost, type SimulatedHost } from "#drivers/sandbox/simulated/driver.ts";
import { createMemoryTelemetry } from "#drivers/telemetry/memory/driver.ts";
import { type Agent, type Bundles, createAgent, createMemoryHandles, createRuntimes } from "#platform/agent/index.ts";
import { Dispatcher } from "#platform/dispatch/dispatcher.ts";
import type { Invocation } from "#platform/dispatch/invocation.ts";
import { Caller } from "./caller.ts";
import { withFreezingFaults } from "./freezing-faults.ts";
import { Invariants } from "./invariants.ts";

const AGENT = "agent";
const CODE = Buffer.alloc(1_000, "code");
const DIGEST = `sha256:${createHash("sha256").update(CODE).digest("hex")}` as const;
const CAPACITY_MIB = 2_048;

export interface ClusterOptions {
  readonly seed: number;
  readonly behaviourOf: (revision: RevisionRef) => Behaviour;
  /** Chance that a sandbox does not start. */
  readonly startFails: number;
  readonly pools: PoolRules;
}

/**
 * One gateway's dispatch, one agent, its sandboxes and the links between them, in one process under one clock. Real dispatch,
 * agent and frames; simulated time, network and guests. Whatever happens follows from the seed.
 */
export class SimulatedCluster {
  readonly clock = new SimulatedClock();
  readonly random: Random;
  readonly network: SimulatedNetwork;
  readonly invariants = new Invariants();
  readonly callers = new Set<Caller>();
  readonly host: SimulatedHost;
  readonly #routes = new Map<string, RoutePlan>();
  /** Control's, as every agent would read them. */
  readonly #specs = new Map<string, LaunchSpec>();
  #launches = createMemoryPlans<LaunchSpec>();
  readonly #handles = createMemoryHandles();
  readonly #ids;
  readonly #pools: PoolRules;
  readonly #metrics = createMetrics();
  agent: Agent | undefined;
  dispatch: Dispatcher | undefined;
  #epoch = 0;

  constructor(options: ClusterOptions) {
    this.random = createSeededRandom(options.seed);
    this.#pools = options.pools;
    this.#ids = createIds(this.clock, this.random);
    this.network = createSimulatedNetwork(this.clock, this.random, { delayMs: [0.05, 1.5] });
    this.host = createSimulatedHost(
      { network: this.network, clock: this.clock, random: this.random },
      {
        prefix: "guest:",
        startMs: [20, 120],
        startFails: options.startFails,
        behaviourOf: options.behaviourOf,
        observer: {
          started: (invocation, active, slots) => this.invariants.started(invocation, active, slots),
          ended: (invocation) => this.invariants.ended(invocation),
        },
      },
    );
  }

  async open(): Promise<void> {
    await this.restartAgent();
    await this.restartGateway();
  }

  async close(): Promise<void> {
    await this.#whileTimePasses(this.dispatch?.close());
    await this.#whileTimePasses(this.agent?.close());
    for (const guest of [...this.host.guests.values()])
      await this.#whileTimePasses(guest.die({ cause: "killed", detail: "the simulation is over" }));
  }

  /** As after a kill: the new agent knows what is on disk, and the guests live. */
  async restartAgent(): Promise<void> {
    await this.#whileTimePasses(this.agent?.close());
    const { clock, random, network } = this;
    this.#launches = createMemoryPlans<LaunchSpec>();
    this.#launches.replace(this.#specs);
    this.agent = createAgent(
      {
        network,
        clock,
        random,
        ids: this.#ids,
        log: createSilentLog(),
        // One agent in six has a driver that does not freeze.
        driver: withFreezingFaults(createSimulatedDriver(this.host), { clock, random }, random.below(6) > 0),
        launches: this.#launches,
        telemetry: createMemoryTelemetry({ maximumItems: 10 }),
        bundles: BUNDLES,
        runtimes: createRuntimes([{ name: "nodejs", version: "24", command: [], environment: {} }]),
        handles: this.#handles,
      },
      {
        ...{ name: "agent-1", host: "host-1", labels: {}, address: AGENT, capacityMiB: CAPACITY_MIB, grantMs: 10_000 },
        ...{ pools: this.#pools, poolStarts: 2 },
      },
    );
    await this.#whileTimePasses(this.agent.open(new AbortController().signal));
  }

  /** As after a kill: callers whose gateway is gone get no answer. */
  async restartGateway(): Promise<void> {
    for (const caller of this.callers) caller.abandon();
    this.callers.clear();
    await this.#whileTimePasses(this.dispatch?.close());
    const deps = { clock: this.clock, random: this.random, network: this.network, log: createSilentLog() };
    const settle = (invocation: Invocation) => this.invariants.settled(invocation);
    this.dispatch = new Dispatcher(
      { ...deps, settle, metrics: this.#metrics },
      { owner: "gateway-1", epoch: ++this.#epoch, agentAddress: AGENT, concurrentStarts: 4 },
    );
    this.dispatch.open();
    for (const plan of this.#routes.values()) this.dispatch.setPlan(plan);
  }

  deploy(plan: RoutePlan): void {
    for (const { revision } of plan.live) this.#launch(plan, revision);
    this.#routes.set(`${plan.app}/${plan.function}`, plan);
    this.dispatch?.setPlan(plan);
  }

  remove(plan: RoutePlan): void {
    this.#routes.delete(`${plan.app}/${plan.function}`);
    this.dispatch?.removePlan(plan);
  }

  /** Somebody invokes; undefined when there is no such function. */
  invoke(key: string): Caller | undefined {
    const revision = this.dispatch?.route(key);
    if (revision === undefined) return undefined;
    const caller = new Caller(this.#ids.next(), () => this.callers.delete(caller));
    this.callers.add(caller);
    this.invariants.submitted(caller);
    const start = {
      id: caller.id,
      headText: '"request":{"method":"GET","path":"/","query":"","headers":[]}',
      body: null,
      bodyBytes: 0,
      trigger: "url",
      startedMs: this.clock.now(),
      startedAt: this.clock.monotonic(),
    };
    const invocation: Invocation = this.dispatch!.submit(start, revision, caller);
    caller.begin(invocation, (bytes) => this.dispatch?.taken(invocation, bytes));
    return caller;
  }

  leave(caller: Caller): void {
    caller.leave();
    if (caller.invocation !== undefined) this.dispatch?.leave(caller.invocation, "client-closed");
  }

  /** Time passes; invariants are looked at after each moment in which something happened. */
  async advance(durationMs: number): Promise<void> {
    const until = this.clock.monotonic() + durationMs;
    while (await this.clock.step(until)) this.invariants.check(this);
    await this.clock.advance(until - this.clock.monotonic());
    this.invariants.check(this);
  }

  /** How many sandboxes may wait for code, and how many must in the end. */
  get pooled(): { readonly min: number; readonly max: number } {
    const sum = (of: "min" | "max") => this.#pools.named.reduce((total, rule) => total + rule[of], 0);
    return { min: sum("min"), max: sum("max") };
  }

  /** Idle sandboxes that gave way to others. */
  get evicted(): number {
    return this.#metrics.counter("colibri_sandboxes_evicted_total", "").value;
  }

  get capacityMiB(): number {
    return CAPACITY_MIB;
  }

  #launch(plan: RoutePlan, revision: string): void {
    const { tenant, app, function: name } = plan;
    const { runtime, memoryMiB, concurrency, timeoutMs } = plan.revisions[revision]!;
    const ref = { tenant, app, function: name, revision };
    const spec: LaunchSpec = {
      ...ref,
      runtime,
      memoryMiB,
      concurrency,
      timeoutMs,
      handler: "index.mjs",
      execution: "loop",
      bundle: { digest: DIGEST, bytes: CODE.length },
      initTimeoutMs: 2_000,
      environment: {},
      network: { kind: "internet" },
      sealedSecrets: [],
    };
    this.#specs.set(revisionKey(ref), spec);
    this.#launches.put(revisionKey(ref), spec);
  }

  async #whileTimePasses(work: Promise<unknown> | undefined): Promise<void> {
    let done = false;
    void Promise.resolve(work).finally(() => {
      done = true;
    });
    for (let step = 0; !done && step < 10_000; step++) await this.clock.advance(1);
    await work;
  }
}

const BUNDLES: Bundles = {
  digests: () => [DIGEST],
  onChange() {},
  hold: async () => ({
    digest: DIGEST,
    bytes: CODE.length,
    folder: "/nowhere",
    async *read() {
      yield CODE;
    },
    release() {},
  }),
};
