import { call } from "./lib/call.ts";
import { HERE } from "./lib/checkout.ts";
import { type Language, writeFleet } from "./lib/fleet.ts";
import { availableMiB, cpuSecondsOf, listeningGuests, loadNow, processOf, sleep, until } from "./lib/host.ts";
import { startPlatform } from "./lib/platform.ts";
import type { Row } from "./lib/report.ts";
import { median } from "./lib/tools.ts";

export interface RefillOptions {
  /** In the pool. */
  readonly samples: number;
}

const ROUNDS = 3;
const BAR_PER_SECOND = 15;
const FULL_MS = 300_000;
const REST_MS = 3_000;

interface Refill {
  readonly perSecond: number;
  readonly cpuMs: number;
  readonly memoryMiB: number;
}

/**
 * A full pool is emptied by as many first calls at once, of functions of their own; then it is measured how long it takes until it
 * is full again. Processor time is that of the platform and all that it starts; memory what the whole machine has less.
 */
export async function benchRefill({ samples }: RefillOptions): Promise<Row[]> {
  return [await refill("nodejs", samples), await refill("python", samples)];
}

async function refill(runtime: Language, size: number): Promise<Row> {
  const fleet = writeFleet({ runtime, count: size * ROUNDS, keepAlive: "1h" });
  // Beyond what the machine has: a generic sandbox uses a tenth of what it may.
  const capacity = `${size * (ROUNDS + 2)}GiB`;
  try {
    const platform = await startPlatform(HERE, { COLIBRI_POOL: `${runtime}:128=${size}`, COLIBRI_CAPACITY: capacity });
    try {
      await platform.colibri("deploy", fleet.folder);
      const agent = processOf(platform, "agent").pid;
      const hasListening = (count: number) => () => listeningGuests(agent) >= count;
      await until("the pool is full", FULL_MS, hasListening(size));
      const rounds: Refill[] = [];
      const load = loadNow();
      for (let round = 0; round < ROUNDS; round++) {
        await sleep(REST_MS);
        const before = { memoryMiB: availableMiB(), cpuSeconds: cpuSecondsOf(platform) };
        const urls = fleet.paths.slice(round * size, (round + 1) * size);
        await Promise.all(urls.map((path) => call(`${platform.functionsUrl}${path}`)));
        const left = size * (round + 2) - listeningGuests(agent);
        const begunMs = performance.now();
        await until("the pool is full again", FULL_MS, hasListening(size * (round + 2)));
        const tookMs = performance.now() - begunMs;
        await sleep(REST_MS);
        rounds.push({
          perSecond: (left * 1_000) / tookMs,
          cpuMs: ((cpuSecondsOf(platform) - before.cpuSeconds) * 1_000) / size,
          memoryMiB: (before.memoryMiB - availableMiB()) / size,
        });
      }
      return row(runtime, size, rounds, load);
    } finally {
      await platform.close();
    }
  } finally {
    fleet.remove();
  }
}

function row(runtime: Language, size: number, rounds: readonly Refill[], load: string): Row {
  const perSecond = median(rounds.map((round) => round.perSecond));
  return {
    bench: "refill",
    runtime,
    pool: size,
    rounds: rounds.length,
    "sandboxes/s": perSecond.toFixed(1),
    bar: `≥ ${BAR_PER_SECOND}`,
    within: perSecond >= BAR_PER_SECOND ? "yes" : "no",
    "cpu ms each, first call included": median(rounds.map(({ cpuMs }) => cpuMs)).toFixed(0),
    "MiB each": median(rounds.map((round) => round.memoryMiB)).toFixed(1),
    load,
  };
}
