import { call } from "./lib/call.ts";
import { type Census, takeCensus } from "./lib/census.ts";
import { HERE } from "./lib/checkout.ts";
import { writeFleet } from "./lib/fleet.ts";
import { listeningGuests, loadNow, processOf, sleep, until } from "./lib/host.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row } from "./lib/report.ts";

export interface ChurnOptions {
  /** Starts, and as many stops. */
  readonly samples: number;
}

const FUNCTIONS = 20;
const POOL = 4;
const SETTLE_MS = 10_000;
const GONE_MS = 60_000;
/** Longer than from one look of the gateway's at idle sandboxes to the next: then it has sent them all away. */
const IDLE_MS = 1_500;
/** Rounds before the first count: caches fill, heaps find their size. */
const WARM_UP_ROUNDS = 5;
/** What a heap may have grown by where nothing leaks. */
const SPARE_MIB = 30;

/**
 * Functions are called once and their sandboxes go by a short keep-alive, over and over; what the platform has of the host is
 * counted when all is quiet, before and afterwards.
 */
export async function benchChurn({ samples }: ChurnOptions): Promise<Row[]> {
  const fleet = writeFleet({ runtime: "nodejs", count: FUNCTIONS, keepAlive: "0ms" });
  try {
    const platform = await startPlatform(HERE, { COLIBRI_POOL: `nodejs:128=${POOL}` });
    try {
      await platform.colibri("deploy", fleet.folder);
      const urls = fleet.paths.map((path) => `${platform.functionsUrl}${path}`);
      for (let round = 0; round < WARM_UP_ROUNDS; round++) await startAndStop(platform, urls);
      await sleep(SETTLE_MS);
      const before = await takeCensus(platform);
      const load = loadNow();
      let starts = 0;
      while (starts < samples) starts += await startAndStop(platform, urls);
      await sleep(SETTLE_MS);
      const after = await takeCensus(platform);
      return rows(starts, before, after, load);
    } finally {
      await platform.close();
    }
  } finally {
    fleet.remove();
  }
}

/** Until the pool is all there is. Answers how many sandboxes were started for somebody. */
async function startAndStop(platform: RunningPlatform, urls: readonly string[]): Promise<number> {
  const called = await Promise.all(urls.map(call));
  await sleep(IDLE_MS);
  const agent = processOf(platform, "agent").pid;
  await until("all sandboxes are gone but the pool", GONE_MS, () => listeningGuests(agent) === POOL, 50);
  return called.filter(({ coldMs }) => coldMs > 0).length;
}

function rows(starts: number, before: Census, after: Census, load: string): Row[] {
  const counts = (["processes", "mounts", "cgroups", "interfaces", "networkNamespaces", "nftElements"] as const).map(
    (what) => ({
      what: what.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`),
      from: before[what],
      to: after[what],
      spare: 0,
    }),
  );
  const roles = Object.keys(after.roles).flatMap((role) => [
    {
      what: `descriptors of ${role}`,
      from: before.roles[role]!.descriptors,
      to: after.roles[role]!.descriptors,
      spare: 0,
    },
    { what: `MiB of ${role}`, from: before.roles[role]!.rssMiB, to: after.roles[role]!.rssMiB, spare: SPARE_MIB },
  ]);
  return [...counts, ...roles].map(({ what, from, to, spare }) => ({
    bench: "churn",
    starts,
    what,
    before: Math.round(from),
    after: Math.round(to),
    bar: spare === 0 ? "no growth" : `≤ ${spare} more`,
    within: to - from <= spare ? "yes" : "no",
    load,
  }));
}
