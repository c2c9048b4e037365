import { call } from "./lib/call.ts";
import { takeCensus } from "./lib/census.ts";
import { HERE } from "./lib/checkout.ts";
import { type Language, writeFleet } from "./lib/fleet.ts";
import { availableMiB, listeningGuests, loadNow, memoryMiB, processesOf, processOf, sleep, until } from "./lib/host.ts";
import { poolStarts } from "./lib/metrics.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row } from "./lib/report.ts";
import { median } from "./lib/tools.ts";

export interface DensityOptions {
  /** At once. */
  readonly samples: number;
}

const BAR_MIB = 14;
const FULL_MS = 600_000;
/** Longer than a silent guest stays in a pool: afterwards it would have been replaced. */
const SETTLE_MS = 15_000;
/** First calls at once. */
const TOGETHER = 4;

interface Held {
  readonly freeMiB: number;
  /** Of the platform's processes, roles included, shared pages by share. */
  readonly pssMiB: number;
}

/**
 * What sandboxes that do nothing take of the machine: its available memory before and after, with all that goes with them (agent,
 * spawner, network, kernel). Neighbours are in it: beside it stands what the processes hold by their shares of pages, which is
 * without the kernel's part.
 */
export async function benchDensity({ samples }: DensityOptions): Promise<Row[]> {
  const rows: Row[] = [];
  for (const runtime of ["nodejs", "python"] as const)
    rows.push(await inPool(runtime, samples), await bound(runtime, samples));
  return rows;
}

/** Against a platform that has no pool. */
async function inPool(runtime: Language, count: number): Promise<Row> {
  const idle = await onPlatform(
    { COLIBRI_POOL: "off" },
    async () => {},
    async (before, after) => ({
      freeMiB: before - after.freeMiB,
      pssMiB: after.pssMiB,
    }),
  );
  const settings = { COLIBRI_POOL: `${runtime}:128=${count}`, COLIBRI_CAPACITY: `${count}GiB` };
  const fill = async (platform: RunningPlatform) => {
    const agent = processOf(platform, "agent").pid;
    await until("the pool is full", FULL_MS, () => listeningGuests(agent) >= count, 100);
  };
  return onPlatform(settings, fill, async (before, after, platform) => {
    const eachMiB = (before - after.freeMiB - idle.freeMiB) / count;
    const started = await poolStarts(platform);
    const answering = started === count ? `${count} of ${count}` : `${count} after ${started} starts`;
    const pssMiB = (after.pssMiB - idle.pssMiB) / count;
    return row(platform, { runtime, state: "in the pool", count, eachMiB, pssMiB, answering });
  });
}

/** Each serves a function of its own, and has answered once. */
async function bound(runtime: Language, count: number): Promise<Row> {
  const fleet = writeFleet({ runtime, count, keepAlive: "1h" });
  try {
    const platform = await startPlatform(HERE, { COLIBRI_POOL: "off", COLIBRI_CAPACITY: `${count}GiB` });
    try {
      await platform.colibri("deploy", fleet.folder);
      await sleep(SETTLE_MS);
      const urls = fleet.paths.map((path) => `${platform.functionsUrl}${path}`);
      const before = held(platform);
      await callAll(urls);
      await sleep(SETTLE_MS);
      const after = held(platform);
      const again = await callAll(urls);
      const answering = `${again.filter(({ coldMs }) => coldMs === 0).length} of ${count}, p50 ${median(again.map(({ wallMs }) => wallMs)).toFixed(1)} ms`;
      const eachMiB = (before.freeMiB - after.freeMiB) / count;
      const pssMiB = (after.pssMiB - before.pssMiB) / count;
      return await row(platform, { runtime, state: "bound, called once", count, eachMiB, pssMiB, answering });
    } finally {
      await platform.close();
    }
  } finally {
    fleet.remove();
  }
}

async function onPlatform<T>(
  settings: Readonly<Record<string, string>>,
  fill: (platform: RunningPlatform) => Promise<void>,
  measure: (beforeMiB: number, after: Held, platform: RunningPlatform) => Promise<T>,
): Promise<T> {
  const beforeMiB = availableMiB();
  const platform = await startPlatform(HERE, settings);
  try {
    await fill(platform);
    await sleep(SETTLE_MS);
    return await measure(beforeMiB, held(platform), platform);
  } finally {
    await platform.close();
  }
}

function held(platform: RunningPlatform): Held {
  const freeMiB = availableMiB();
  const pssMiB = processesOf(platform).reduce((sum, { pid }) => sum + (memoryMiB(pid) ?? 0), 0);
  return { freeMiB, pssMiB };
}

async function callAll(urls: readonly string[]) {
  const answers: Awaited<ReturnType<typeof call>>[] = [];
  for (let start = 0; start < urls.length; start += TOGETHER)
    answers.push(...(await Promise.all(urls.slice(start, start + TOGETHER).map(call))));
  return answers;
}

interface Density {
  readonly runtime: Language;
  readonly state: string;
  readonly count: number;
  readonly eachMiB: number;
  readonly pssMiB: number;
  readonly answering: string;
}

async function row(
  platform: RunningPlatform,
  { runtime, state, count, eachMiB, pssMiB, answering }: Density,
): Promise<Row> {
  const census = await takeCensus(platform);
  const { agent, gateway, spawner } = census.roles;
  return {
    bench: "density",
    runtime,
    state,
    sandboxes: count,
    "MiB each": eachMiB.toFixed(1),
    bar: `≤ ${BAR_MIB}`,
    within: eachMiB <= BAR_MIB ? "yes" : "no",
    "of it in processes": pssMiB.toFixed(1),
    answering,
    processes: census.processes,
    cgroups: census.cgroups,
    mounts: census.mounts,
    interfaces: census.interfaces,
    "sockets agent/gateway/spawner": [agent, gateway, spawner].map((role) => role?.sockets ?? 0).join("/"),
    "RSS MiB agent/gateway/spawner": [agent, gateway, spawner].map((role) => Math.round(role?.rssMiB ?? 0)).join("/"),
    load: loadNow(),
  };
}
