import { availableParallelism, hostname, totalmem } from "node:os";
import { join } from "node:path";
import { createIds } from "#base/ids.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import { meterProcess } from "#base/process-meters.ts";
import { SANDBOX_STATES } from "#contract/agent/link.ts";
import { DEFAULT_POOLS, NO_POOLS, type PoolRules } from "#domain/scaling/pool-rules.ts";
import { bundleGuests } from "#guest/bundle.ts";
import {
  type Agent,
  type BundleCache,
  createAgent,
  createBundleCache,
  createBundlePreload,
  createCompileCache,
  createDiskHandles,
  findRuntimes,
  type Runtimes,
} from "#platform/agent/index.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { meterSandboxDriver, type SandboxDriver } from "#ports/sandbox/index.ts";
import { promisedMiB } from "../config.ts";
import { createBlobs, createPlans, createTelemetry } from "../drivers.ts";
import { ensureWritten } from "../home.ts";
import { reportMeters } from "../meters.ts";
import { createSandboxDriver } from "../sandbox-driver.ts";
import type { OpenRole, RoleContext } from "./context.ts";

const MIB = 1024 * 1024;
/** In container sandboxes; elsewhere guests are this user's. */
const GUEST_UID = 1_000;
const CACHED_BUNDLE_BYTES = 10 * 1024 * MIB;

export const open: OpenRole = async (context) => {
  const { clock, random, network, log, paths, instance, config, signal } = context;
  // Node asks the nearest package.json what a .js file is: a bundle without one must not find that of whoever owns the home.
  ensureWritten(join(paths.agent.home, "package.json"), "{}\n");
  const guests = await bundleGuests(paths.agent.guests);
  const runtimes = await findRuntimes({
    guests: { nodejs: guests.nodejs, python: guests.python },
    node: { path: process.execPath, version: process.versions.node },
    searchPath: process.env.PATH ?? "",
  });
  const metrics = createMetrics();
  const blobs = createBlobs(context, "read");
  const compiled = createCompileCache({ log }, { node: process.execPath, guestUid: GUEST_UID });
  const bundles = createBundleCache(
    { blobs, unpack: (source, folder) => unpackArchive(source, folder), compiled, clock, log, metrics },
    { folder: paths.agent.bundles, maximumBytes: CACHED_BUNDLE_BYTES },
  );
  const launches = createPlans(context, "launches", paths.agent.plans);
  const preload = createBundlePreload({ launches, bundles, log, metrics });
  const telemetry = createTelemetry(context);
  const driver = await createSandboxDriver(context, runtimes.list());
  const agent = createAgent(
    {
      network,
      clock,
      random,
      ids: createIds(clock, random),
      log,
      driver: meterSandboxDriver(driver, { clock, metrics }),
      launches,
      telemetry,
      bundles,
      runtimes,
      handles: createDiskHandles({ log }, { folder: join(paths.agent.home, "sandboxes") }),
      metrics,
    },
    {
      name: instance,
      host: hostname(),
      labels: {},
      address: paths.sockets.agent,
      placement: config.placement,
      capacityMiB: promisedMiB(config, totalmem() / MIB),
      pools: choosePools(context, driver, runtimes),
      poolStarts: availableParallelism(),
    },
  );
  await blobs.open(signal);
  await bundles.open(signal);
  await telemetry.open(signal);
  await launches.open(signal);
  await agent.open(signal);
  preload.open();
  meterProcess({ clock, metrics });
  meterHost(metrics, agent, bundles);
  reportMeters({ clock, telemetry, metrics });
  return {
    facts: {
      runtimes: runtimes.list().map(({ name, version }) => `${name} ${version}`),
    },
    async close(why) {
      await preload.close();
      // The spawner would end them, but may be gone as well.
      await agent.close(why === "told" ? "stay" : "end");
      await launches.close();
      await telemetry.close();
      await blobs.close();
    },
  };
};

/** Without isolation it is for development: there the idle platform stays small. */
function choosePools({ config, log }: RoleContext, { capabilities }: SandboxDriver, runtimes: Runtimes): PoolRules {
  const missing = config.pools?.named.find(({ runtime }) => runtimes.get(runtime) === undefined);
  if (missing !== undefined) {
    const there = runtimes.list().map(({ name }) => name);
    log.warn("COLIBRI_POOL names a runtime that this host does not have", { runtime: missing.runtime, there });
  }
  return config.pools ?? (capabilities.isolation === "none" ? NO_POOLS : DEFAULT_POOLS);
}

function meterHost(metrics: Metrics, agent: Agent, bundles: BundleCache): void {
  for (const state of SANDBOX_STATES) {
    const count = () => agent.sandboxes.filter((sandbox) => sandbox.state === state).length;
    metrics.read("colibri_agent_sandboxes", "Sandboxes on the host, by state.", { state }, count);
  }
  metrics.read("colibri_bundle_cache_bytes", "Unpacked bundles on the host.", {}, () => bundles.bytes);
}
