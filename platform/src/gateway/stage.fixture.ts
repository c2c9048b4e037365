/**
 * A gateway as it runs, for tests: real HTTP on a free port, real dispatch, a real agent, and sandboxes whose control streams are
 * simulated guests while their data streams are the test's own, frame by frame.
 */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { type Clock, createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import type { Link, LinkHandlers, Network } from "#base/link/link.ts";
import { createSimulatedNetwork, type SimulatedNetwork } from "#base/link/simulated-network.ts";
import { createSilentLog, type Log } from "#base/log.ts";
import { createMetrics } from "#base/metrics.ts";
import { createSeededRandom } from "#base/random.ts";
import type { SandboxState } from "#contract/agent/link.ts";
import { GUEST_FRAMES, type GuestInvoke } from "#contract/guest/link.ts";
import { FLAG_FIN, FLAG_LAST, type Frame } from "#contract/link/frame.ts";
import { functionKey, revisionKey } from "#contract/names.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import { createMemoryPlans, type MemoryPlans } from "#drivers/plans/memory/driver.ts";
import { type Behaviour, DEFAULT_BEHAVIOUR } from "#drivers/sandbox/simulated/behaviour.ts";
import { createSimulatedDriver, createSimulatedHost, type SimulatedHost } from "#drivers/sandbox/simulated/driver.ts";
import type { SimulatedGuest } from "#drivers/sandbox/simulated/guest.ts";
import { createMemoryTelemetry, type MemoryTelemetry } from "#drivers/telemetry/memory/driver.ts";
import type { SandboxDriver } from "#ports/sandbox/index.ts";
import { type Agent, type AgentDeps, createAgent, createMemoryHandles, createRuntimes } from "../agent/index.ts";
import { createAsyncRole } from "../async/async.ts";
import { Dispatcher, type StartEvents } from "../dispatch/dispatcher.ts";
import { AsyncClient } from "./async-client.ts";
import { Gateway } from "./gateway.ts";
import type { InvokeDeps } from "./invoke.ts";
import { Meters } from "./meters.ts";
import { SERVER_LIMITS, type ServerLimits } from "./server.ts";
import { Settle } from "./settle.ts";

const CODE = Buffer.from("code");
const DIGEST = `sha256:${createHash("sha256").update(CODE).digest("hex")}` as const;
/** Where the agent listens on the stage's network. */
export const AGENT = "agent";
const GUESTS = "guest:";
const LEAVING_MS = 5;
const PATIENCE_MS = 10_000;

export interface StageOptions {
  readonly limits?: Partial<ServerLimits>;
  readonly maximumInFlight?: number;
  /** Nothing is deployed at the start, and plans are not there yet. */
  readonly bare?: boolean;
  /** Data streams are the simulated guests' own too. */
  readonly behaviour?: Partial<Behaviour>;
  readonly plan?: PlanChanges;
  readonly capacityMiB?: number;
  /** Chance that a sandbox does not start. */
  readonly startFails?: number;
  readonly withAsync?: boolean;
  readonly follow?: NonNullable<InvokeDeps["follow"]>;
  readonly starts?: StartEvents;
  /** What the agent starts sandboxes with, made of the simulated one. */
  readonly driver?: (simulated: SandboxDriver) => SandboxDriver;
  readonly log?: Log;
}

export interface PlanChanges {
  readonly revision?: string;
  readonly concurrency?: number;
  readonly memoryMiB?: number;
  readonly timeoutMs?: number;
  readonly max?: number;
  readonly min?: number;
  readonly keepAliveMs?: number;
  readonly freezeAfterMs?: number;
  readonly queueLength?: number;
  readonly queueTimeoutMs?: number;
  readonly bodyBytes?: number;
  readonly triggers?: RoutePlan["policy"]["triggers"];
}

export function planOf(name: string, changes: PlanChanges = {}): RoutePlan {
  const revision = changes.revision ?? "r1";
  const { concurrency = 2, memoryMiB = 128, timeoutMs = 5_000, max = 4, min = 0, keepAliveMs = 60_000 } = changes;
  return {
    tenant: "default",
    app: "app",
    function: name,
    live: [{ revision, weight: 100 }],
    revisions: { [revision]: { runtime: "nodejs", memoryMiB, concurrency, timeoutMs } },
    policy: {
      scaling: {
        ...{ min, max, keepAliveMs },
        ...(changes.freezeAfterMs !== undefined && { freezeAfterMs: changes.freezeAfterMs }),
      },
      queue: { length: changes.queueLength ?? 100, timeoutMs: changes.queueTimeoutMs ?? 5_000 },
      limits: { bodyBytes: changes.bodyBytes ?? 1_000_000 },
      access: { kind: "open" },
      triggers: changes.triggers ?? [],
    },
  };
}

/** Waits for what a test expects, and fails it by name instead of hanging. */
export async function within<T>(what: string, work: Promise<T>, patienceMs = PATIENCE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come: ${what}`)), patienceMs);
  });
  return await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

/** Looks until it is so. */
export async function until(what: string, is: () => boolean): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!is()) {
    if (performance.now() > deadline) throw new Error(`never so: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

interface Waiting {
  readonly dueMs: number;
  readonly action: () => void;
  timer: object | undefined;
}

/** Real time that can be skipped too: for what would be long to wait for, and must not depend on how fast the machine is. */
export class SkippingClock implements Clock {
  readonly #real = createSystemClock();
  readonly #waiting = new Set<Waiting>();
  #skippedMs = 0;

  now(): number {
    return this.#real.now() + this.#skippedMs;
  }

  monotonic(): number {
    return this.#real.monotonic() + this.#skippedMs;
  }

  after(delayMs: number, action: () => void): object {
    const waiting: Waiting = { dueMs: this.monotonic() + delayMs, action, timer: undefined };
    this.#waiting.add(waiting);
    this.#set(waiting);
    return waiting;
  }

  cancel(timer: object): void {
    const waiting = timer as Waiting;
    if (this.#waiting.delete(waiting)) this.#real.cancel(waiting.timer!);
  }

  /** What is due by then happens soon, in its order. */
  skip(durationMs: number): void {
    this.#skippedMs += durationMs;
    for (const waiting of [...this.#waiting].sort((one, other) => one.dueMs - other.dueMs)) {
      this.#real.cancel(waiting.timer!);
      this.#set(waiting);
    }
  }

  #set(waiting: Waiting): void {
    // Delays that were over before they were set are none.
    waiting.timer = this.#real.after(Math.max(0, waiting.dueMs - this.monotonic()), () => {
      this.#waiting.delete(waiting);
      waiting.action();
    });
  }
}

/** What arrives, in order, for those who wait for it. */
class Arrivals<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  add(item: T): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter(item);
  }

  next(what: string): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return within(what, new Promise<T>((resolve) => this.#waiting.push(resolve)));
  }

  get length(): number {
    return this.#items.length;
  }
}

/** One INVOKE as the guest got it, to be answered frame by frame. */
export class Invoked {
  readonly head: GuestInvoke;
  readonly sandbox: string;
  readonly link: Link;
  readonly stream: number;
  readonly cancelled = Promise.withResolvers<string>();
  body: Buffer;
  bodyEnded: boolean;
  /** Window given by the gateway beyond the first. */
  credit = 0;

  readonly #guest: SimulatedGuest | undefined;

  /** `guest` counts what runs, so that it drains as a real one does. */
  constructor(sandbox: string, guest: SimulatedGuest | undefined, link: Link, frame: Frame) {
    this.#guest = guest;
    this.head = JSON.parse(frame.head);
    this.sandbox = sandbox;
    this.link = link;
    this.stream = frame.stream;
    this.body = Buffer.from(frame.body);
    this.bodyEnded = frame.fin;
    guest?.count(1, this.head.id);
  }

  receive(frame: Frame): void {
    if (frame.type === GUEST_FRAMES.DATA) {
      this.body = Buffer.concat([this.body, frame.body]);
      this.bodyEnded ||= frame.fin;
    } else if (frame.type === GUEST_FRAMES.WINDOW) this.credit += JSON.parse(frame.head).credit;
    else if (frame.type === GUEST_FRAMES.CANCEL) this.cancelled.resolve(JSON.parse(frame.head).reason);
  }

  send(type: keyof typeof GUEST_FRAMES, flags: number, head: object | string, body: Uint8Array | null = null): this {
    const text = typeof head === "string" ? head : JSON.stringify(head);
    this.link.send(GUEST_FRAMES[type], flags, this.stream, text, body);
    // A guest that drains exits after its last answer has left.
    if ((flags & FLAG_LAST) !== 0 || type === "MISROUTED")
      setTimeout(() => this.#guest?.count(-1, this.head.id), LEAVING_MS);
    return this;
  }

  accept(): this {
    return this.send("ACCEPTED", 0, "");
  }

  /** The whole answer in one frame. */
  answer(status: number, headers: readonly string[], body: string | Uint8Array): this {
    return this.send("HEAD", FLAG_FIN | FLAG_LAST, { status, headers }, Buffer.from(body));
  }

  begin(status: number, headers: readonly string[] = []): this {
    return this.send("HEAD", 0, { status, headers });
  }

  data(body: string | Uint8Array, last = false): this {
    return this.send("DATA", last ? FLAG_FIN | FLAG_LAST : 0, "", Buffer.from(body));
  }

  end(end: object): this {
    return this.send("END", FLAG_FIN | FLAG_LAST, end);
  }

  fail(code: string, message: string): this {
    return this.end({ outcome: "error", code, error: { name: "Error", message } });
  }

  misroute(reason: string): this {
    return this.send("MISROUTED", 0, { reason });
  }

  window(credit: number): this {
    return this.send("WINDOW", 0, { credit });
  }
}

/** A record as control would store it. */
export interface RecordRow {
  readonly id: string;
  readonly revision: string;
  readonly outcome: string;
  readonly status: number;
  readonly waitMs: number;
  readonly coldMs: number;
  readonly runMs: number;
  readonly bodyBytes: number;
  readonly answerBytes: number;
  readonly sandbox: string;
  readonly trigger: string;
}

export class Stage {
  readonly clock = new SkippingClock();
  readonly #random = createSeededRandom(1);
  readonly network: SimulatedNetwork;
  readonly host: SimulatedHost;
  readonly plans: MemoryPlans<RoutePlan>;
  readonly #launches = createMemoryPlans<LaunchSpec>();
  readonly telemetry: MemoryTelemetry = createMemoryTelemetry();
  readonly settle: Settle;
  readonly meters: Meters;
  readonly dispatch: Dispatcher;
  readonly gateway: Gateway;
  readonly #agent: Agent;
  readonly #async: ReturnType<typeof createAsyncRole>;
  readonly #withAsync: boolean;
  readonly #arrivals = new Arrivals<Invoked>();
  readonly #scripted: boolean;
  /** Changed by a test to have loads or inits fail. */
  behaviour: Behaviour;
  port = 0;

  constructor(options: StageOptions) {
    const { clock } = this;
    const random = this.#random;
    const log = options.log ?? createSilentLog();
    this.#scripted = options.behaviour === undefined || options.behaviour.durationMs === undefined;
    this.behaviour = { ...DEFAULT_BEHAVIOUR, loadMs: [0, 0], initMs: [0, 0], ...options.behaviour };
    this.plans = createMemoryPlans<RoutePlan>({ ready: options.bare !== true });
    this.network = createSimulatedNetwork(clock, random, { delayMs: [0, 0] });
    const network = this.#scriptedNetwork();
    const deps = { network, clock, random, log };
    this.host = createSimulatedHost(deps, {
      prefix: GUESTS,
      startMs: [0, 0],
      startFails: options.startFails ?? 0,
      behaviourOf: () => this.behaviour,
    });
    const metrics = createMetrics();
    this.meters = new Meters({
      metrics,
      inFlight: () => this.settle.inFlight,
      revisions: () => this.dispatch.revisions(),
    });
    this.settle = new Settle({ clock, telemetry: this.telemetry, meters: this.meters });
    this.dispatch = new Dispatcher(
      {
        ...{ ...deps, metrics, settle: (invocation) => this.settle.settle(invocation) },
        ...(options.starts !== undefined && { starts: options.starts }),
      },
      { owner: "gateway-1", epoch: 1, agentAddress: AGENT, concurrentStarts: 4 },
    );
    const ids = createIds(clock, random);
    const { telemetry, settle, meters, dispatch, plans } = this;
    this.#withAsync = options.withAsync === true;
    this.#async = createAsyncRole(deps, { address: "async", instance: "async-1" });
    this.gateway = new Gateway(
      {
        ...deps,
        ids,
        plans,
        telemetry,
        settle,
        meters,
        dispatch,
        async: new AsyncClient(deps, { address: "async", instance: "gateway-1" }),
        ...(options.follow !== undefined && { follow: options.follow }),
      },
      {
        bind: "127.0.0.1",
        port: 0,
        limits: { ...SERVER_LIMITS, ...options.limits },
        ...(options.maximumInFlight !== undefined && { maximumInFlight: options.maximumInFlight }),
      },
    );
    this.#agent = this.#createAgent({ ...deps, ids }, options);
    if (options.bare !== true) this.deploy(planOf("f", options.plan));
  }

  #createAgent(deps: Pick<AgentDeps, "network" | "clock" | "random" | "ids" | "log">, options: StageOptions): Agent {
    const { capacityMiB = 4_096, driver = (simulated) => simulated } = options;
    return createAgent(
      {
        ...deps,
        driver: driver(createSimulatedDriver(this.host)),
        launches: this.#launches,
        telemetry: createMemoryTelemetry({ maximumItems: 10 }),
        bundles: {
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
        },
        runtimes: createRuntimes([{ name: "nodejs", version: "24", command: [], environment: {} }]),
        handles: createMemoryHandles(),
      },
      {
        name: "agent-1",
        host: "host-1",
        labels: {},
        address: AGENT,
        capacityMiB,
        planMs: 50,
      },
    );
  }

  async open(): Promise<this> {
    const { signal } = new AbortController();
    if (this.#withAsync) await this.#async.open();
    await this.#agent.open(signal);
    this.port = await this.gateway.open(signal);
    return this;
  }

  async close(): Promise<void> {
    await this.gateway.close();
    await this.#async.close();
    for (const guest of [...this.host.guests.values()])
      await guest.die({ cause: "killed", detail: "the test is over" });
    await this.#agent.close();
  }

  deploy(plan: RoutePlan): void {
    const { tenant, app, function: name } = plan;
    for (const [revision, { runtime, memoryMiB, concurrency, timeoutMs }] of Object.entries(plan.revisions)) {
      const ref = { tenant, app, function: name, revision };
      this.#launches.put(revisionKey(ref), {
        ...ref,
        ...{ runtime, memoryMiB, concurrency, timeoutMs, handler: "index.mjs", execution: "loop" as const },
        ...{
          bundle: { digest: DIGEST, bytes: CODE.length },
          initTimeoutMs: 2_000,
          environment: {},
          network: { kind: "internet" },
          sealedSecrets: [],
        },
      });
    }
    this.plans.put(functionKey(plan), plan);
  }

  remove(name: string): void {
    this.plans.remove(`default/app/${name}`);
  }

  /** The next invocation that reaches a guest. */
  invoked(): Promise<Invoked> {
    return this.#arrivals.next("an INVOKE at a guest");
  }

  /** Invocations that reached a guest and that the test has not taken up. */
  get unanswered(): number {
    return this.#arrivals.length;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Until the gateway has read the head of what was sent on a connection of its own: one more request has been there and back. */
  async sees({ socket }: { readonly socket: Socket }): Promise<void> {
    await until("what was sent has left", () => socket.writableLength === 0 && !socket.connecting);
    for (let turn = 0; turn < 3; turn++) await (await fetch(`${this.url}/healthz`)).text();
  }

  /** Slots that are taken, over all functions. */
  get running(): number {
    let running = 0;
    for (const revision of this.dispatch.revisions()) running += revision.running;
    return running;
  }

  /** As the agent sees it. */
  stateOf(sandbox: string): SandboxState | undefined {
    return this.#agent.sandboxes.find((view) => view.sandbox === sandbox)?.state;
  }

  get sandboxes(): readonly string[] {
    return this.#agent.sandboxes.map(({ sandbox }) => sandbox);
  }

  /** The process in the sandbox ends. */
  async kill(sandbox: string, detail = "exited with code 3"): Promise<void> {
    await this.host.guests.get(sandbox)?.die({ cause: "exited", detail });
  }

  records(): RecordRow[] {
    this.settle.flush();
    return this.telemetry.items.flatMap((item) => (item.kind === "records" ? readRows(item.rows) : []));
  }

  #scriptedNetwork(): Network {
    const { network } = this;
    return {
      dial: (address, kind, handlers) => network.dial(address, kind, handlers),
      listen: (address, kinds, accept) =>
        network.listen(address, kinds, (link, kind) =>
          kind === "data" && this.#scripted ? this.#dataStream(address.slice(GUESTS.length), link) : accept(link, kind),
        ),
    };
  }

  #dataStream(sandbox: string, link: Link): LinkHandlers {
    const open = new Map<number, Invoked>();
    return {
      frame: (frame) => {
        if (frame.type === GUEST_FRAMES.HELLO)
          return link.send(GUEST_FRAMES.HELLO, 0, 0, '{"state":"pending","slots":0}', null);
        if (frame.type !== GUEST_FRAMES.INVOKE) return open.get(frame.stream)?.receive(frame);
        const invoked = new Invoked(sandbox, this.host.guests.get(sandbox), link, frame);
        open.set(frame.stream, invoked);
        this.#arrivals.add(invoked);
      },
      close: () => {},
    };
  }
}

function readRows(text: string): RecordRow[] {
  return (JSON.parse(text) as (string & number)[][]).map((row) => ({
    ...{ id: row[0]!, revision: row[1]!, outcome: row[2]!, status: row[3]!, waitMs: row[5]!, coldMs: row[6]! },
    ...{ runMs: row[7]!, bodyBytes: row[8]!, answerBytes: row[9]!, sandbox: row[10]!, trigger: row[11]! },
  }));
}

/** Opens a stage, hands it to the test and closes it whatever happens. */
export async function onStage(options: StageOptions, play: (stage: Stage) => Promise<void>): Promise<void> {
  const stage = await new Stage(options).open();
  try {
    await play(stage);
  } finally {
    await stage.close();
  }
}
