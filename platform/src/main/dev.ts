/**
 * For local work: one process that is gateway, dispatch and agent at once, and one that is the spawner, with plans in memory that follow a folder. What
 * answers is the code that answers on a platform: there is no control, no store, no token.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import type { Network } from "#base/link/link.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createLog, type LogLevel } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { AppConfig } from "#contract/config/app-config.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import { memoryClassOf } from "#domain/sandbox/memory-class.ts";
import { createMemoryPlans } from "#drivers/plans/memory/driver.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { bundleGuests } from "#guest/bundle.ts";
import {
  type Agent,
  type AgentDeps,
  createAgent,
  createMemoryHandles,
  findRuntimes,
  type Runtimes,
} from "#platform/agent/index.ts";
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
import { createDevBuild } from "./dev/build.ts";
import { abandonedHomes, devHomes, devRoot, makeDevHome, removeHome } from "./dev/dev-home.ts";
import { createFront, type DevBase, LOOPBACK } from "./dev/front.ts";
import { createSpawnerProcess } from "./dev/spawner-process.ts";
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
  let open: OpenDev | undefined;
  let closing: Promise<void> | undefined;
  const parts: (() => Promise<void> | void)[] = [];
  const close = async () => {
    for (const part of parts.splice(0).reverse()) await part();
  };
  return {
    async open(signal) {
      open = await openDev(options, tell, parts, signal);
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
async function openDev(
  options: DevOptions,
  tell: Tell,
  parts: (() => Promise<void> | void)[],
  signal: AbortSignal,
): Promise<OpenDev> {
  const base = createBase(options);
  const root = devRoot();
  const home = makeDevHome(root);
  parts.push(() => home.close());
  const { paths } = home;
  const spawner = createSpawnerProcess({ address: paths.sockets.spawner, logLevel: options.logLevel });
  parts.push(() => spawner.close());
  await spawner.open(signal);
  await sweep(base, root, paths.sockets.spawner);
  const found = await findGuests(paths, options.environment);
  const build = createDevBuild(base, { paths, runtimes: found, environment: options.environment, tell });
  parts.push(() => build.close());
  await build.open(signal);
  const inspection =
    options.inspect &&
    createInspection(options.inspect, {
      folder: paths.home,
      searchPath: options.environment.PATH ?? "",
    });
  const plans = { routes: createMemoryPlans<RoutePlan>(), launches: createMemoryPlans<LaunchSpec>() };
  const revisions = new DevRevisions(plans, { prestart: options.watch, inspected: inspection !== undefined });
  const runtimes = createDevRuntimes(found);
  const starts = new DevStarts({ clock: base.clock, revisions, tell });
  const telemetry = createToldTelemetry(tell, starts);
  const agent = createDevAgent(
    base,
    { paths, spares: options.watch },
    {
      launches: plans.launches,
      telemetry,
      revisions,
      runtimes,
    },
  );
  parts.push(() => agent.close());
  await agent.open(signal);
  const app: DevApp = new DevApp(
    {
      ...{ clock: base.clock, revisions, starts, tell, runtimes, inspection },
      ...{ dependencies: build.dependencies, steps: build.steps },
    },
    { folder: options.folder, watch: options.watch, home: home.id, homes: () => devHomes(root) },
  );
  const readyMs = inspection === undefined ? undefined : UNHURRIED_MS;
  const front = createFront(
    base,
    { routes: plans.routes, telemetry, tell, app: () => app.config, starts },
    { ...options, paths, readyMs },
  );
  // Guests first: nobody waits for what they still run.
  parts.push(() => Promise.all([spawner.close(), front.close()]).then(() => {}));
  parts.push(() => app.close());
  const url = `http://${LOOPBACK}:${await front.open(signal)}`;
  home.announce({ pid: process.pid, url, app: options.config.app, folder: options.folder });
  await app.open(options.config);
  return { url, app, inspectPorts: inspection?.ports ?? new Map(), fire: (timer) => front.fire(timer) };
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

/** What runs that were killed have left: their guests, and their homes. */
async function sweep(base: DevBase, root: string, spawner: string): Promise<void> {
  for (const paths of abandonedHomes(root)) {
    const driver = createProcessDriver(base, { folder: join(paths.agent.home, "sandboxes"), spawner });
    await driver.open(new AbortController().signal);
    await driver.reap([]);
    await driver.close();
    removeHome(paths);
  }
}

/** Bundled guests are kept beside the platform's packages, so that only the first start waits for them. */
async function findGuests(paths: HomePaths, environment: DevOptions["environment"]): Promise<Runtimes> {
  const kept = fileURLToPath(new URL("../../../node_modules/.cache/colibri/guests", import.meta.url));
  const guests = await bundleGuests(kept).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EACCES" && error.code !== "EROFS" && error.code !== "EPERM") throw error;
    return bundleGuests(paths.agent.guests);
  });
  const node = { path: process.execPath, version: process.versions.node };
  return findRuntimes({ guests, node, searchPath: environment.PATH ?? "" });
}
