import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./lib/checkout.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row, Target } from "./lib/report.ts";
import { quantile } from "./lib/tools.ts";

const BAR_MS = 10;
/** Roles report what they count every few seconds. */
const REPORTED_MS = 30_000;
/** Two seconds after its last invocation one that may be frozen is; what is reported before may be of the round before. */
const IDLE_MS = 6_000;
const ROUND = 10;
const KINDS = ["warm", "frozen"] as const;
type Kind = (typeof KINDS)[number];

export interface FreezeOptions {
  readonly samples: number;
}

/**
 * The first answer of a sandbox that has been idle for a while: one that is never frozen beside one that is. `samples` of each, of
 * ten functions a kind that take turns, so that both have been idle for as long; over a connection that is kept.
 */
export async function benchFreeze(targets: readonly Target[], { samples }: FreezeOptions): Promise<Row[]> {
  const app = writeApp();
  const rows: Row[] = [];
  try {
    for (const target of targets) rows.push(...(await measure(target, app, samples)));
  } finally {
    rmSync(app, { recursive: true, force: true });
  }
  return rows;
}

async function measure({ name, folder }: Target, app: string, samples: number): Promise<Row[]> {
  const platform = await startPlatform(folder);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const took: Record<Kind, number[]> = { warm: [], frozen: [] };
  try {
    await platform.colibri("deploy", app);
    const urlOf = (kind: Kind, index: number) => `${platform.functionsUrl}/fn/freeze/${kind}-${index}`;
    await everyOne((kind, index) => timed(agent, urlOf(kind, index)));
    while (took.frozen.length < samples) {
      await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
      await requireFrozen(platform);
      await everyOne(async (kind, index) => took[kind].push(await timed(agent, urlOf(kind, index))));
    }
  } finally {
    agent.destroy();
    await platform.close();
  }
  for (const kind of KINDS) took[kind].sort((a, b) => a - b);
  return KINDS.map((kind) => row(name, kind, took));
}

function row(contender: string, kind: Kind, took: Readonly<Record<Kind, readonly number[]>>): Row {
  const at = (q: number, of: Kind = kind) => quantile(took[of], q);
  const later = (q: number) => at(q) - at(q, "warm");
  return {
    bench: "freeze",
    contender,
    sandbox: kind,
    samples: took[kind].length,
    "p50 ms": at(0.5).toFixed(2),
    "p99 ms": at(0.99).toFixed(2),
    ...(kind === "frozen" && {
      "p50 later ms": later(0.5).toFixed(2),
      "p99 later ms": later(0.99).toFixed(2),
      "bar ms": BAR_MS,
      within: later(0.99) <= BAR_MS ? "yes" : "no",
    }),
  };
}

/** In alternation. */
async function everyOne(act: (kind: Kind, index: number) => Promise<unknown>): Promise<void> {
  for (let index = 0; index < ROUND; index++)
    for (const kind of index % 2 === 0 ? KINDS : KINDS.toReversed()) await act(kind, index);
}

/** @throws where what is to be measured as frozen is not. */
async function requireFrozen({ controlUrl, home }: RunningPlatform): Promise<void> {
  const token = readFileSync(join(home, "token"), "utf8").trim();
  const until = performance.now() + REPORTED_MS;
  for (;;) {
    const response = await fetch(`${controlUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } });
    const found = /^colibri_sandboxes\{[^}]*state="frozen"[^}]*\} (\d+)/m.exec(await response.text())?.[1];
    if (Number(found) === ROUND) return;
    if (performance.now() > until) throw new Error(`${found} sandboxes are frozen, not ${ROUND}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function timed(agent: Agent, url: string): Promise<number> {
  const begun = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.once("end", () => {
        const tookMs = performance.now() - begun;
        if (response.statusCode === 200) resolve(tookMs);
        else reject(new Error(`${url} answered ${response.statusCode} ${response.headers["colibri-error-message"]}`));
      });
      response.resume();
    }).once("error", reject);
  });
}

/** One app of ten functions a kind, each with a sandbox of its own. */
function writeApp(): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-freeze-"));
  const lines = ["app: freeze", "functions:"];
  for (let index = 0; index < ROUND; index++) {
    for (const kind of KINDS) {
      cpSync(join(HERE, "bench", "function", "index.mjs"), join(folder, `${kind}-${index}`, "index.mjs"));
      const freezeAfter = kind === "frozen" ? "1s" : "never";
      lines.push(
        `  ${kind}-${index}: { runtime: nodejs, handler: index.mjs, scaling: { freezeAfter: ${freezeAfter} } }`,
      );
    }
  }
  writeFileSync(join(folder, "colibri.yaml"), `${lines.join("\n")}\n`);
  return folder;
}
