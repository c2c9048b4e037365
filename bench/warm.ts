import { type ChildProcess, fork } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./lib/checkout.ts";
import { startNginx } from "./lib/nginx.ts";
import { startPlatform } from "./lib/platform.ts";
import type { Row, Target } from "./lib/report.ts";
import { median, stop } from "./lib/tools.ts";
import { type LoadResult, load } from "./lib/wrk.ts";

const CONNECTIONS = [1, 32, 128] as const;
const WARM_UP_SECONDS = 3;

export interface WarmOptions {
  readonly rounds: number;
  readonly seconds: number;
}

interface Contender {
  readonly name: string;
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Warm throughput and latency of a trivial function: through the platform (routing, limits, metrics, logs and records on),
 * through nginx to the same handler in a plain Node server, and that server called directly. In alternation, medians of rounds.
 */
export async function benchWarm(targets: readonly Target[], options: WarmOptions): Promise<Row[]> {
  const contenders: Contender[] = [];
  try {
    for (const target of targets) contenders.push(await platformContender(target));
    contenders.push(await nginxContender(), await directContender());
    for (const contender of contenders) await load(contender.url, 32, WARM_UP_SECONDS);
    const rows: Row[] = [];
    for (const connections of CONNECTIONS) rows.push(...(await compare(contenders, connections, options)));
    return rows;
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

async function compare(
  contenders: readonly Contender[],
  connections: number,
  { rounds, seconds }: WarmOptions,
): Promise<Row[]> {
  const results = new Map<string, LoadResult[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, url } of contenders) results.get(name)!.push(await load(url, connections, seconds));
  }
  const nginx = results.get("nginx")!;
  return contenders.map(({ name }) => {
    const own = results.get(name)!;
    const ratio = (of: (result: LoadResult) => number) =>
      median(own.map((result, round) => of(result) / of(nginx[round]!)));
    return {
      bench: "warm",
      contender: name,
      connections,
      "req/s": Math.round(median(own.map((result) => result.perSecond))),
      "p50 us": Math.round(median(own.map((result) => result.p50Us))),
      "p99 us": Math.round(median(own.map((result) => result.p99Us))),
      "req/s ÷ nginx": ratio((result) => result.perSecond).toFixed(2),
      "p50 ÷ nginx": ratio((result) => result.p50Us).toFixed(2),
      errors: own.reduce((sum, result) => sum + result.errors, 0),
    };
  });
}

async function platformContender({ name, folder }: Target): Promise<Contender> {
  const platform = await startPlatform(folder);
  await platform.colibri("deploy", join(HERE, "bench", "function"));
  return { name, url: `${platform.functionsUrl}/fn/bench/hello`, close: () => platform.close() };
}

function startPlain(address: string): Promise<{ child: ChildProcess; port: number }> {
  const child = fork(join(HERE, "bench", "plain-server.mjs"), [address]);
  return new Promise((resolve) => child.once("message", ({ port }: { port: number }) => resolve({ child, port })));
}

async function nginxContender(): Promise<Contender> {
  const folder = mkdtempSync(join(tmpdir(), "colibri-plain-"));
  const { child } = await startPlain(join(folder, "handler.sock"));
  const nginx = await startNginx(join(folder, "handler.sock"));
  return {
    name: "nginx",
    url: nginx.url,
    async close() {
      await nginx.close();
      await stop(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function directContender(): Promise<Contender> {
  const { child, port } = await startPlain("0");
  return { name: "direct", url: `http://127.0.0.1:${port}/`, close: () => stop(child) };
}
