import { type Called, call } from "./lib/call.ts";
import { HERE } from "./lib/checkout.ts";
import { type Fleet, type FleetOptions, type Language, writeFleet } from "./lib/fleet.ts";
import { loadNow, sleep } from "./lib/host.ts";
import { poolRequests } from "./lib/metrics.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import { type AgentSteps, agentSteps } from "./lib/platform-log.ts";
import type { Row } from "./lib/report.ts";
import { quantile } from "./lib/tools.ts";

export interface ColdOptions {
  /** Of each case. */
  readonly samples: number;
}

const FUNCTIONS = 100;
/** After it and a look of the gateway's at idle sandboxes, all of a round are gone. */
const KEEP_ALIVE = "1s";
const GONE_MS = 4_000;
/** Between a first answer and the next call: the pool fills up again, unseen by the caller. */
const REST_MS = 150;
const PER_SECOND = 5;
const POOLED = { COLIBRI_POOL: "nodejs:128=8,python:128=4" };
const MEBIBYTE = 1 << 20;

interface Case {
  readonly what: string;
  readonly runtime: Language;
  readonly barMs: { readonly p50: number; readonly p99?: number } | undefined;
  readonly samples: readonly Called[];
  /** What the agent logs of each. */
  readonly steps: AgentSteps;
  readonly from: string;
  readonly load: string;
}

/**
 * Starts through the gateway: each sample is a call of a function that has no sandbox. Serial, over a connection that is open,
 * with a rest in between in which the pool fills up; then as many a second, whether the one before has answered or not.
 * Sandboxes go by a short keep-alive between rounds, so that their bundles stay on the host.
 */
export async function benchCold({ samples }: ColdOptions): Promise<Row[]> {
  const count = Math.min(FUNCTIONS, samples);
  const small = { count, keepAlive: KEEP_ALIVE };
  const cases = [
    ...(await onPlatform(POOLED, { ...small, runtime: "nodejs" }, (run) => pooled(run, samples))),
    ...(await onPlatform(POOLED, { ...small, runtime: "nodejs", ballastBytes: MEBIBYTE }, notCached)),
    ...(await onPlatform(POOLED, { ...small, runtime: "python" }, (run) => pooled(run, samples))),
    ...(await onPlatform({ COLIBRI_POOL: "off" }, { ...small, runtime: "nodejs" }, empty)),
    ...(await onPlatform({ COLIBRI_POOL: "off" }, { ...small, runtime: "python" }, empty)),
  ];
  return cases.map(row);
}

interface Run {
  readonly platform: RunningPlatform;
  readonly fleet: Fleet;
  readonly runtime: Language;
  readonly urls: readonly string[];
}

async function onPlatform(
  settings: Readonly<Record<string, string>>,
  options: FleetOptions,
  measure: (run: Run) => Promise<Case[]>,
): Promise<Case[]> {
  const fleet = writeFleet(options);
  try {
    const platform = await startPlatform(HERE, settings);
    try {
      await platform.colibri("deploy", fleet.folder);
      const urls = fleet.paths.map((path) => `${platform.functionsUrl}${path}`);
      return await measure({ platform, fleet, runtime: options.runtime, urls });
    } finally {
      await platform.close();
    }
  } finally {
    fleet.remove();
  }
}

/** The first round brings the bundles, and is not counted. */
async function pooled(run: Run, samples: number): Promise<Case[]> {
  await onceEach(run.urls);
  const rounds = Math.max(1, Math.round(samples / run.urls.length));
  const { runtime } = run;
  const serial = await measured(run, async () => {
    const all: Called[] = [];
    for (let round = 0; round < rounds; round++) all.push(...(await onceEach(run.urls)));
    return all;
  });
  const timed = await measured(run, () => atRate(run.urls));
  return [
    { what: "pool, bundle cached", runtime, barMs: { p50: 10, p99: 40 }, ...serial },
    { what: `the same, ${PER_SECOND} a second`, runtime, barMs: { p50: 10, p99: 40 }, ...timed },
  ];
}

/** Each function's first call after its deployment, which leaves no bundle on the host. */
async function notCached(run: Run): Promise<Case[]> {
  const first = await measured(run, () => onceEach(run.urls));
  return [{ what: "pool, bundle of 1 MiB not cached", runtime: run.runtime, barMs: undefined, ...first }];
}

async function empty(run: Run): Promise<Case[]> {
  await onceEach(run.urls);
  const all = await measured(run, () => onceEach(run.urls));
  return [{ what: "no pool, bundle cached", runtime: run.runtime, barMs: { p50: 120 }, ...all }];
}

async function measured(
  { platform }: Run,
  measure: () => Promise<Called[]>,
): Promise<Omit<Case, "what" | "runtime" | "barMs">> {
  const before = await poolRequests(platform);
  const load = loadNow();
  const since = new Date();
  const samples = await measure();
  const after = await poolRequests(platform);
  const [hits, claimed, misses] = (["hit", "claimed", "miss"] as const).map((kind) => after[kind] - before[kind]);
  const from = hits! + claimed! + misses! === 0 ? "started" : `${hits} hits, ${claimed} claimed, ${misses} misses`;
  return { samples, steps: agentSteps(platform, since), from, load };
}

async function onceEach(urls: readonly string[]): Promise<Called[]> {
  const samples: Called[] = [];
  for (const url of urls) {
    samples.push(await coldCall(url));
    await sleep(REST_MS);
  }
  await sleep(GONE_MS);
  return samples;
}

async function atRate(urls: readonly string[]): Promise<Called[]> {
  const begun = performance.now();
  const calls: Promise<Called>[] = [];
  for (const [index, url] of urls.entries()) {
    await sleep(begun + (index * 1_000) / PER_SECOND - performance.now());
    const called = coldCall(url);
    // Heard of when all are awaited.
    called.catch(() => {});
    calls.push(called);
  }
  return Promise.all(calls);
}

async function coldCall(url: string): Promise<Called> {
  const called = await call(url);
  if (!(called.coldMs > 0)) throw new Error(`${url} found a sandbox: not a start`);
  return called;
}

function row({ what, runtime, samples, barMs, steps, from, load }: Case): Row {
  const sorted = (of: (sample: Called) => number) => samples.map(of).sort((a, b) => a - b);
  const wall = sorted(({ wallMs }) => wallMs);
  const p50 = quantile(wall, 0.5);
  const p99 = quantile(wall, 0.99);
  return {
    bench: "cold",
    start: what,
    runtime,
    samples: samples.length,
    "p50 ms": p50.toFixed(1),
    "p90 ms": quantile(wall, 0.9).toFixed(1),
    "p99 ms": p99.toFixed(1),
    "bar ms": barMs === undefined ? "" : [barMs.p50, barMs.p99 ?? []].flat().join(" / "),
    within:
      barMs === undefined ? "" : p50 <= barMs.p50 && p99 <= (barMs.p99 ?? Number.POSITIVE_INFINITY) ? "yes" : "no",
    "cold p50": quantile(
      sorted(({ coldMs }) => coldMs),
      0.5,
    ).toFixed(1),
    "run p50": quantile(
      sorted(({ runMs }) => runMs),
      0.5,
    ).toFixed(1),
    "start p50": steps.startMs.toFixed(1),
    "load p50": steps.loadMs.toFixed(1),
    "init p50": steps.initMs.toFixed(2),
    from,
    load,
  };
}
