import { hostname, totalmem } from "node:os";
import { join } from "node:path";
import { createIds } from "#base/ids.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { createAgent, createBundleCache, createDiskHandles, findRuntimes } from "#platform/agent/index.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import {
  chooseSandbox,
  createBlobs,
  createPlans,
  createSandboxDriver,
  createTelemetry,
  SANDBOX_TECHNOLOGIES,
} from "../drivers.ts";
import { writeDurably } from "../home.ts";
import type { OpenRole } from "./context.ts";

const MIB = 1024 * 1024;
/** Of the machine's memory, what may be promised to sandboxes. */
const PROMISED_SHARE = 0.8;
const CACHED_BUNDLE_BYTES = 10 * 1024 * MIB;

export const open: OpenRole = async (context) => {
  const { clock, random, network, log, paths, instance, config, signal } = context;
  // Node asks the nearest package.json what a .js file is: a bundle without one must not find that of whoever owns the home.
  writeDurably(join(paths.agent.home, "package.json"), "{}\n");
  const guests = await bundleGuests(paths.agent.guests);
  const runtimes = await findRuntimes({
    guests: { nodejs: guests.nodejs, python: guests.python },
    node: { path: process.execPath, version: process.versions.node },
    searchPath: process.env.PATH ?? "",
  });
  const blobs = createBlobs(context, "read");
  const bundles = createBundleCache(
    { blobs, unpack: (source, folder) => unpackArchive(source, folder), clock, log },
    { folder: paths.agent.bundles, maximumBytes: CACHED_BUNDLE_BYTES },
  );
  const launches = createPlans(context, "launches", paths.agent.plans);
  const telemetry = createTelemetry(context);
  const agent = createAgent(
    {
      network,
      clock,
      random,
      ids: createIds(clock, random),
      log,
      driver: createSandboxDriver(context),
      launches,
      telemetry,
      bundles,
      runtimes,
      handles: createDiskHandles({ log }, { folder: join(paths.agent.home, "sandboxes") }),
    },
    {
      name: instance,
      host: hostname(),
      labels: {},
      address: paths.sockets.agent,
      capacityMiB: Math.floor((totalmem() / MIB) * PROMISED_SHARE),
    },
  );
  await blobs.open(signal);
  await bundles.open(signal);
  await telemetry.open(signal);
  await launches.open(signal);
  await agent.open(signal);
  const technology = chooseSandbox(config.sandbox);
  return {
    facts: {
      isolation: `${technology}: ${SANDBOX_TECHNOLOGIES[technology].summary}`,
      runtimes: runtimes.list().map(({ name, version }) => `${name} ${version}`),
    },
    async close() {
      await agent.close();
      await launches.close();
      await telemetry.close();
      await blobs.close();
    },
  };
};
