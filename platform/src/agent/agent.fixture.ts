import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createIds } from "#base/ids.ts";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createLog } from "#base/log.ts";
import { createMetrics } from "#base/metrics.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type AgentEvents, agentEvents, agentRequests } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { ReportItem } from "#contract/report/report.ts";
import { type Behaviour, DEFAULT_BEHAVIOUR } from "#drivers/sandbox/simulated/behaviour.ts";
import {
  createSimulatedDriver,
  createSimulatedHost,
  type SimulatedHostOptions,
} from "#drivers/sandbox/simulated/driver.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";
import { type Agent, type AgentOptions, createAgent } from "./agent.ts";
import type { Bundles } from "./bundles.ts";
import { createMemoryHandles } from "./handles.ts";
import { createRuntimes } from "./runtimes.ts";

export const THUMB: RevisionRef = { tenant: "default", app: "shop", function: "thumb", revision: "r1" };
const CODE = Buffer.alloc(200_000, "code");
export const DIGEST = `sha256:${createHash("sha256").update(CODE).digest("hex")}` as const;
export const GRANT_MS = 9_000;

export function specOf(revision: RevisionRef, given: Partial<LaunchSpec> = {}): LaunchSpec {
  return {
    ...revision,
    ...{ runtime: "nodejs", handler: "index.mjs", execution: "loop", bundle: { digest: DIGEST, bytes: CODE.length } },
    ...{ memoryMiB: 128, concurrency: 2, timeoutMs: 1_000, initTimeoutMs: 500, environment: {}, sealedSecrets: [] },
    network: { kind: "internet" },
    ...given,
  };
}

function createPlans(): LaunchPlans & { put(spec: LaunchSpec): void } {
  const plans = new Map<string, LaunchSpec>();
  let listener: (key: string, spec: LaunchSpec | undefined) => void = () => {};
  return {
    open: async () => {},
    close: async () => {},
    get: (key) => plans.get(key),
    entries: () => plans.entries(),
    onChange(heard) {
      listener = heard;
    },
    ready: true,
    put(spec) {
      plans.set(revisionKey(spec), spec);
      listener(revisionKey(spec), spec);
    },
  };
}

/** Counts who holds what. */
function createTestBundles(): Bundles & { held: number; fetched: Promise<unknown>; changed: () => void } {
  const bundles = {
    held: 0,
    fetched: Promise.resolve<unknown>(undefined),
    digests: () => [DIGEST],
    changed: () => {},
    onChange(listener: () => void) {
      bundles.changed = listener;
    },
    async hold() {
      await bundles.fetched;
      bundles.held++;
      let held = true;
      const release = () => {
        if (held) bundles.held--;
        held = false;
      };
      return { digest: DIGEST, bytes: CODE.length, folder: "/nowhere", read, release };
    },
  };
  async function* read() {
    for (let start = 0; start < CODE.length; start += 50_000) yield CODE.subarray(start, start + 50_000);
  }
  return bundles;
}

const opened: (() => Promise<void>)[] = [];

export async function closeWorlds(): Promise<void> {
  for (const close of opened.splice(0)) await close();
}

/** A host with simulated sandboxes whose agent can be replaced. */
export async function createWorld(
  behaviour: Partial<Behaviour> = {},
  given: Partial<AgentOptions> = {},
  apply?: SimulatedHostOptions["network"],
) {
  const clock = new SimulatedClock();
  const random = createSeededRandom(7);
  const wires = createSimulatedNetwork(clock, random, { delayMs: [0.1, 0.3] });
  let dials = 0;
  const network: typeof wires = {
    ...wires,
    dial(address, kind, handlers) {
      if (kind === "control") dials++;
      return wires.dial(address, kind, handlers);
    },
  };
  /** May be changed at any time, those of the agent before the next one is booted. */
  const settings = {
    behaviour: { ...DEFAULT_BEHAVIOUR, ...behaviour },
    agent: {} as Partial<AgentOptions>,
    runtimes: [{ name: "nodejs", version: "24", command: ["node"], environment: {} }],
  };
  const metrics = createMetrics();
  const logged: { level: string; message: string; [field: string]: unknown }[] = [];
  const write = (line: string) => void logged.push(JSON.parse(line));
  const started: number[] = [];
  const host = createSimulatedHost(
    { network, clock, random },
    {
      ...{ prefix: "guest:", startMs: [20, 30], startFails: 0, behaviourOf: () => settings.behaviour },
      observer: { started: (_, active) => void started.push(active) },
      ...(apply && { network: apply }),
    },
  );
  const items: ReportItem[] = [];
  const handles = createMemoryHandles();
  const bundles = createTestBundles();
  const plans = createPlans();
  plans.put(specOf(THUMB));
  let agent: Agent | undefined;

  async function boot(): Promise<Agent> {
    await agent?.close();
    const telemetry = {
      open: async () => {},
      close: async () => {},
      add: (item: ReportItem) => void items.push(item),
      dropped: 0,
    };
    const runtimes = createRuntimes(settings.runtimes);
    const ids = createIds(clock, createSeededRandom(Math.floor(clock.now())));
    agent = createAgent(
      {
        network,
        clock,
        random,
        ids,
        log: createLog({ clock, write }, { level: "debug" }),
        driver: createSimulatedDriver(host),
        launches: plans,
        telemetry,
        bundles,
        runtimes,
        handles,
        metrics,
      },
      {
        name: "agent-1",
        host: "here",
        labels: { zone: "a" },
        address: "agent",
        capacityMiB: 512,
        grantMs: GRANT_MS,
        logEntriesPerSecond: 100,
        ...given,
        ...settings.agent,
      },
    );
    const opening = agent.open(new AbortController().signal);
    await clock.advance(5);
    await opening;
    return agent;
  }

  /** An owner that has said hello and renews its grants. */
  async function owner(name = "gw1", epoch = 1, beats = true) {
    const told: { [K in keyof AgentEvents]: [K, AgentEvents[K]] }[keyof AgentEvents][] = [];
    const hear = Object.fromEntries(
      Object.keys(agentEvents).map((event) => [event, (value: never) => void told.push([event, value] as never)]),
    );
    let closed = false;
    const link = new MessageLink(
      { clock },
      { asks: agentRequests, hears: agentEvents, serves: {}, emits: {} },
      {
        serve: {},
        hear: hear as never,
        closed: () => {
          closed = true;
        },
      },
    );
    const ask = async <K extends keyof typeof agentRequests>(request: K, value: object) => {
      const answered = link.ask(request, { epoch, ...value } as never, 60_000);
      answered.catch(() => {});
      let settled = false;
      void answered.then(
        () => (settled = true),
        () => (settled = true),
      );
      for (let waited = 0; !settled && waited < 60_000; waited += 10) await clock.advance(10);
      return answered;
    };
    const dialing = network.dial("agent", "agent", link.handlers);
    await clock.advance(2);
    link.attach(await dialing);
    const hello = await ask("hello", { owner: name });
    const beat = () => {
      if (closed || !beats) return;
      link.ask("heartbeat", { epoch }, 1_000).catch(() => {});
      clock.after(GRANT_MS / 3, beat);
    };
    clock.after(GRANT_MS / 3, beat);
    const of = <K extends keyof AgentEvents>(kind: K) =>
      told.flatMap(([event, value]) => (event === kind ? [value as AgentEvents[K]] : []));
    const acquire = (revision = THUMB) => ask("acquire", { revision });
    const ready = async (revision = THUMB) => {
      const acquired = await acquire(revision);
      await ask("load", { sandbox: acquired.sandbox, revision });
      await clock.advance(100);
      assert.ok(
        of("ready").some(({ sandbox }) => sandbox === acquired.sandbox),
        "the sandbox is ready",
      );
      return acquired;
    };
    return { ask, hello, of, acquire, ready, close: () => link.close(), isClosed: () => closed };
  }

  opened.push(async () => {
    await agent?.close();
    await clock.advance(10);
  });
  await boot();
  return {
    clock,
    network,
    host,
    items,
    handles,
    bundles,
    plans,
    settings,
    started,
    metrics,
    logged,
    boot,
    owner,
    agent: () => agent!,
    dials: () => dials,
  };
}

/** That an error is the platform's, with this code and message. */
export function fails(code: string, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof PlatformError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}
