/** An agent in a process of its own, to be killed: the orders come as JSON in the first argument. */
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { PoolRules } from "#domain/scaling/pool-rules.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { createAgent } from "./agent.ts";
import { createBundleCache } from "./bundle-cache.ts";
import { createDiskHandles } from "./handles.ts";
import { createRuntimes } from "./runtimes.ts";

export interface AgentOrders {
  readonly sandboxes: string;
  readonly bundles: string;
  readonly blobs: string;
  readonly spawner: string;
  readonly address: string;
  readonly guest: string;
  readonly spec: LaunchSpec;
  readonly pools: PoolRules;
}

const orders: AgentOrders = JSON.parse(process.argv[2] ?? "");
const clock = createSystemClock();
const random = createSystemRandom();
const parts = { network: createSocketNetwork(), clock, random, log: createSilentLog() };
const blobs = createFilesystemBlobs({ root: orders.blobs, readOnly: true });
const bundles = createBundleCache(
  { blobs, unpack: unpackArchive, ...parts },
  { folder: orders.bundles, maximumBytes: 1 << 30 },
);
const plans = new Map([[revisionKey(orders.spec), orders.spec]]);
const launches = { open: async () => {}, close: async () => {}, onChange() {}, ready: true };
const command = [process.execPath, "--max-old-space-size={memoryMiB}", orders.guest];
const agent = createAgent(
  {
    ...parts,
    ids: createIds(clock, random),
    driver: createProcessDriver(parts, { folder: orders.sandboxes, spawner: orders.spawner }),
    launches: { ...launches, get: (key) => plans.get(key), entries: () => plans.entries() },
    telemetry: {
      open: async () => {},
      close: async () => {},
      add: (item) => void process.stdout.write(`${JSON.stringify(item)}\n`),
      dropped: 0,
    },
    bundles,
    runtimes: createRuntimes([{ name: "nodejs", version: process.versions.node, command, environment: {} }]),
    handles: createDiskHandles(parts, { folder: orders.sandboxes }),
  },
  { name: "agent-1", host: "here", labels: {}, address: orders.address, capacityMiB: 1_024, pools: orders.pools },
);
const signal = AbortSignal.timeout(10_000);
await blobs.open(signal);
await bundles.open(signal);
await agent.open(signal);
process.stdout.write('"open"\n');
setInterval(() => {}, 60_000);
