/**
 * For local work: one process that is gateway, dispatch and agent at once, and one that is the spawner, with plans in memory that follow a folder. What
 * answers is the code that answers on a platform: there is no control, no store, no token.
 */
import { join } from "node:path";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import type { Network } from "#base/link/link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createLog, type LogLevel } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { AppConfig } from "#contract/config/app-config.ts";
import { memoryClassOf } from "#contract/config/memory-class.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import { createMemoryPlans } from "#drivers/plans/memory/driver.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { type Agent, type AgentDeps, createAgent, createMemoryHandles, type Runtimes } from "#platform/agent/index.ts";
import {
  createDevRuntimes,
  createInspection,
  createToldTelemetry,
  DevApp,
  DevRevisions,
  type DevRuntimes,
  DevStarts,
  type DevTimer,
  type Fired,
  type InspectOptions,
  oneAtATime,
  type Tell,
  timersOf,
  UNHURRIED_MS,
  withSpares,
} from "#platform/dev/index.ts";
import type { SandboxSpec } from "#ports/sandbox/index.ts";
import { createFront, type DevBase, LOOPBACK } from "./dev/front.ts";
import { createParts, type Parts } from "./dev/parts.ts";
import { openPlace } from "./dev/place.ts";
import type { HomePaths } from "./home.ts";

export interface DevOptions {
  /** Holds colibri.yaml; absolute. */
  readonly folder: string;
  /** As it was read: mistakes are for whoever starts this. */
  readonly config: AppConfig;
  /** On loopback; 0 for any. */
  readonly port: number;
  /** Follow changes, and start sandboxes ahead of requests. */
  readonly watch: boolean;
  readonly inspect?: InspectOptions | undefined;
  /** Hosts that requests may be for, beside names of this machine and what triggers claim. */
  readonly allowedHosts: readonly string[] | "any";
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
  /** The platform's own log, lines of JSON. */
  readonly writeLog: (line: string) => void;
}

export interface Dev {
  /** Resolves with the address when the first revisions answer. @throws PlatformError */
  open(signal: AbortSignal): Promise<{ readonly url: string }>;
  /** Ends every guest and removes all that was made. Works twice, and after a failed open. */
  close(): Promise<void>;
  readonly config: AppConfig;
  readonly timers: readonly DevTimer[];
  /** Function by port of its debugger. */
  readonly inspectPorts: ReadonlyMap<string, number>;
  fire(timer: DevTimer): Promise<Fired>;
  restart(): void;
}

const OWNER = "dev";
/** Of a machine that one person works at: what is promised is theirs to judge. */
const CAPACITY_MIB = 1 << 20;

export function createDev(options: DevOptions, tell: Tell): Dev {
  const parts = createParts();
  const ending = new AbortController();
  let opening: Promise<OpenDev> | undefined;
  let open: OpenDev | undefined;
  let closing: Promise<void> | undefined;

  /** What is being opened is a part when that is over. */
  async function close(): Promise<void> {
    ending.abort(new Error("dev is closed"));
    await opening?.catch(() => {});
    await parts.close();
  }

  return {
    async open(signal) {
      opening = openDev(options, tell, parts, AbortSignal.any([signal, ending.signal]));
      open = await opening;
      return { url: open.url };
    },
    close: () => {
      closing ??= close();
      return closing;
    },
    get config() {
      return open?.app.config ?? options.config;
    },
    get timers() {
      return timersOf(open?.app.config ?? options.config);
    },
    get inspectPorts() {
      return open?.inspectPorts ?? new Map();
    },
    fire: (timer) => open!.fire(timer),
    restart: () => open?.app.restart(),
  };
}

interface OpenDev {
  readonly url: string;
  readonly app: DevApp;
  readonly inspectPorts: ReadonlyMap<string, number>;
  fire(timer: DevTimer): Promise<Fired>;
}

/** Puts what must be closed into `parts`, in the order in which it was opened. */
async function openDev(options: DevOptions, tell: Tell, parts: Parts, signal: AbortSignal): Promise<OpenDev> {
  const base = createBase(options);
  const place = await openPlace(base, options, { tell, parts }, signal);
  const { home, homes, spawner, build } = place;
  const plans = createDevPlans(base, options, place.runtimes, tell, home.paths);
  const { revisions, runtimes, starts, telemetry, inspection } = plans;
  const agent = createDevAgent(base, { paths: home.paths, spares: options.watch }, plans);
  parts.add(() => agent.close());
  await agent.open(signal);
  const app: DevApp = new DevApp(
    {
      ...{ clock: base.clock, revisions, starts, tell, runtimes, inspection },
      ...{ dependencies: build.dependencies, steps: build.steps },
    },
    { folder: options.folder, watch: options.watch, home: home.id, homes },
  );
  const readyMs = inspection === undefined ? undefined : UNHURRIED_MS;
  const front = createFront(
    base,
    { routes: plans.routes, telemetry, tell, app: () => app.config, starts },
    { ...options, paths: home.paths, readyMs },
  );
  // Guests first: nobody waits for what they still run.
  parts.add(() => Promise.all([spawner.close(), front.close()]).then(() => {}));
  parts.add(() => app.close());
  const url = `http://${LOOPBACK}:${await front.open(signal)}`;
  home.announce({ pid: process.pid, url, app: options.config.app, folder: options.folder });
  await app.open(options.config, signal);
  return { url, app, inspectPorts: inspection?.ports ?? new Map(), fire: (timer) => front.fire(timer) };
}

/** What is to run, and what is told of it. */
function createDevPlans(base: DevBase, options: DevOptions, found: Runtimes, tell: Tell, { home }: HomePaths) {
  const searchPath = options.environment.PATH ?? "";
  const inspection = options.inspect && createInspection(options.inspect, { folder: home, searchPath });
  const plans = { routes: createMemoryPlans<RoutePlan>(), launches: createMemoryPlans<LaunchSpec>() };
  const revisions = new DevRevisions(plans, { prestart: options.watch, inspected: inspection !== undefined });
  const starts = new DevStarts({ clock: base.clock, revisions, tell });
  const telemetry = createToldTelemetry(tell, starts);
  return { ...plans, revisions, runtimes: createDevRuntimes(found), starts, telemetry, inspection };
}

function createBase(options: DevOptions): DevBase {
  const [clock, random, network] = [createSystemClock(), createSystemRandom(), createNetwork(options)];
  const log = createLog({ clock, write: options.writeLog }, { level: options.logLevel });
  return { clock, random, network, ids: createIds(clock, random), log };
}

/** Guests that stand at a breakpoint greet nobody. */
function createNetwork({ inspect }: DevOptions): Network {
  return createSocketNetwork(inspect === undefined ? {} : { greetingMs: UNHURRIED_MS });
}

function createDevAgent(
  base: DevBase,
  { paths: { agent, sockets }, spares }: { readonly paths: HomePaths; readonly spares: boolean },
  deps: Pick<AgentDeps, "launches" | "telemetry"> & {
    readonly runtimes: DevRuntimes;
    readonly revisions: DevRevisions;
  },
): Agent {
  const processes = createProcessDriver(base, { folder: join(agent.home, "sandboxes"), spawner: sockets.spawner });
  const { runtimes, revisions, launches, telemetry } = deps;
  const isLive = ({ runtime, memoryMiB }: SandboxSpec) =>
    [...revisions.live()].some(
      (live) => memoryClassOf(live.memoryMiB) === memoryMiB && runtimes.get(live.runtime) === runtime,
    );
  const isWanted = (spec: SandboxSpec) => spares && runtimes.exclusiveOf(spec.runtime) === undefined && isLive(spec);
  const spared = withSpares(processes, { clock: base.clock, isWanted });
  revisions.onChange(() => spared.trim());
  return createAgent(
    {
      ...{ ...base, launches, telemetry, runtimes, bundles: revisions.bundles },
      ...{ driver: oneAtATime(spared, runtimes), handles: createMemoryHandles() },
    },
    { ...{ name: OWNER, host: OWNER, labels: {} }, address: sockets.agent, capacityMiB: CAPACITY_MIB },
  );
}
