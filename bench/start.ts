import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HERE } from "./lib/checkout.ts";
import { type RunningPlatform, startPlatform } from "./lib/platform.ts";
import type { Row, Target } from "./lib/report.ts";
import { quantile, stop } from "./lib/tools.ts";

export interface StartOptions {
  readonly samples: number;
}

interface Sample {
  readonly wallMs: number;
  /** As told in Server-Timing. */
  readonly coldMs: number;
}

/**
 * Cold starts with no sandbox waiting: each sample is the first call of a function that has none. Beside it, what starting a
 * bare Node server with the same handler takes until its first answer. One after the other, in alternation.
 */
export async function benchStart(targets: readonly Target[], { samples }: StartOptions): Promise<Row[]> {
  const sources = writeApps(samples);
  const platforms: { name: string; platform: RunningPlatform; samples: Sample[] }[] = [];
  const bare: number[] = [];
  try {
    for (const { name, folder } of targets) {
      const platform = await startPlatform(folder, { COLIBRI_POOL: "off" });
      platforms.push({ name, platform, samples: [] });
      await platform.colibri("deploy", sources);
    }
    for (let index = 0; index < samples; index++) {
      for (const entry of platforms) {
        entry.samples.push(
          await firstCall(`${entry.platform.functionsUrl}/fn/start/node-${index}`),
          await firstCall(`${entry.platform.functionsUrl}/fn/start/python-${index}`),
        );
      }
      bare.push(await bareStart());
    }
  } finally {
    for (const { platform } of platforms) await platform.close();
    rmSync(sources, { recursive: true, force: true });
  }
  const rows = platforms.flatMap(({ name, samples: all }) =>
    ["nodejs", "python"].map((runtime, parity) =>
      row(
        name,
        runtime,
        all.filter((_, index) => index % 2 === parity),
      ),
    ),
  );
  return [
    ...rows,
    row(
      "bare node",
      "nodejs",
      bare.map((wallMs) => ({ wallMs, coldMs: Number.NaN })),
    ),
  ];
}

function row(contender: string, runtime: string, samples: readonly Sample[]): Row {
  const wall = samples.map(({ wallMs }) => wallMs).sort((a, b) => a - b);
  const cold = samples.map(({ coldMs }) => coldMs).sort((a, b) => a - b);
  return {
    bench: "start",
    contender,
    runtime,
    samples: samples.length,
    "p50 ms": quantile(wall, 0.5).toFixed(1),
    "p90 ms": quantile(wall, 0.9).toFixed(1),
    "p99 ms": quantile(wall, 0.99).toFixed(1),
    "cold p50 ms": Number.isNaN(cold[0]) ? "" : quantile(cold, 0.5).toFixed(1),
  };
}

/** One app of `samples` functions a runtime, each with code of its own. */
function writeApps(samples: number): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-start-"));
  const lines = ["app: start", "functions:"];
  for (let index = 0; index < samples; index++) {
    cpSync(join(HERE, "bench", "function", "index.mjs"), join(folder, `node-${index}`, "index.mjs"), {
      recursive: true,
    });
    cpSync(join(HERE, "bench", "function-python", "handler.py"), join(folder, `python-${index}`, "handler.py"), {
      recursive: true,
    });
    lines.push(
      `  node-${index}: { runtime: nodejs, handler: index.mjs }`,
      `  python-${index}: { runtime: python, handler: handler.py }`,
    );
  }
  writeFileSync(join(folder, "colibri.yaml"), `${lines.join("\n")}\n`);
  return folder;
}

async function firstCall(url: string): Promise<Sample> {
  const begun = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  if (response.status !== 200)
    throw new Error(`${url} answered ${response.status} ${response.headers.get("colibri-error-message")}`);
  const cold = /cold;dur=([\d.]+)/.exec(response.headers.get("server-timing") ?? "")?.[1];
  return { wallMs: performance.now() - begun, coldMs: Number(cold) };
}

async function bareStart(): Promise<number> {
  const begun = performance.now();
  const child = spawn(process.execPath, [join(HERE, "bench", "plain-server.mjs"), "0"], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const port = await new Promise<number>((resolve) =>
    child.once("message", (message: { port: number }) => resolve(message.port)),
  );
  await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer();
  const took = performance.now() - begun;
  await stop(child);
  return took;
}
