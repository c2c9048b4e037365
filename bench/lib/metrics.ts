import { readFileSync } from "node:fs";
import { join } from "node:path";
import { sleep } from "./host.ts";
import type { RunningPlatform } from "./platform.ts";

/** Roles report this often, and a little later at worst. */
const REPORTED_MS = 6_000;

/** How often a sandbox waited in the pool, was on its way there, or was started for the request. */
export interface PoolRequests {
  readonly hit: number;
  readonly claimed: number;
  readonly miss: number;
}

/** What was asked of all pools of a platform so far. */
export async function poolRequests(platform: RunningPlatform): Promise<PoolRequests> {
  const text = await readMetrics(platform);
  const count = (outcome: string) => total(text, `colibri_pool_requests_total{.*outcome="${outcome}".*}`);
  return { hit: count("hit"), claimed: count("claimed"), miss: count("miss") };
}

export async function poolStarts(platform: RunningPlatform): Promise<number> {
  return total(await readMetrics(platform), 'colibri_pool_starts_total{.*outcome="ok".*}');
}

/** As they are now: waits until everything before has been reported. */
async function readMetrics({ controlUrl, home }: RunningPlatform): Promise<string> {
  await sleep(REPORTED_MS);
  const token = readFileSync(join(home, "token"), "utf8").trim();
  const answer = await fetch(`${controlUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  if (!answer.ok) throw new Error(`/metrics answered ${answer.status}`);
  return answer.text();
}

function total(text: string, series: string): number {
  const values = [...text.matchAll(new RegExp(`^${series} (\\S+)$`, "gm"))].map(([, value]) => Number(value));
  return values.reduce((sum, value) => sum + value, 0);
}
