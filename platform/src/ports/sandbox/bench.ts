import type { RuntimeLaunch, Sandbox, SandboxDriver } from "./sandbox.ts";

export interface SandboxBenchDeps {
  /** Opened. */
  readonly driver: SandboxDriver;
  readonly runtime: RuntimeLaunch;
  /** A clock that only moves forward, in milliseconds and fractions. */
  readonly nowMs: () => number;
}

export interface SandboxBenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: "ms" | "per second" | "MiB";
}

/** Starts sandboxes one after another, then all at once, and looks at what they hold while idle; leaves none. */
export async function benchSandboxes(deps: SandboxBenchDeps, options = { samples: 20 }): Promise<SandboxBenchRow[]> {
  let ids = 0;
  const start = () => deps.driver.start({ id: `bench-${++ids}`, runtime: deps.runtime, memoryMiB: 128 });
  const starts: number[] = [];
  const kills: number[] = [];
  for (let sample = 0; sample < options.samples; sample++) {
    const startMs = deps.nowMs();
    const sandbox = await start();
    const startedMs = deps.nowMs();
    await end(sandbox);
    starts.push(startedMs - startMs);
    kills.push(deps.nowMs() - startedMs);
  }
  const togetherMs = deps.nowMs();
  const sandboxes = await Promise.all(Array.from({ length: options.samples }, start));
  const perSecond = (options.samples * 1_000) / (deps.nowMs() - togetherMs);
  const memory = await Promise.all(sandboxes.map((sandbox) => sandbox.memoryMiB()));
  await Promise.all(sandboxes.map(end));
  return [
    { name: "start, p50", value: quantile(starts, 0.5), unit: "ms" },
    { name: "start, p99", value: quantile(starts, 0.99), unit: "ms" },
    { name: "kill until nothing is left, p50", value: quantile(kills, 0.5), unit: "ms" },
    { name: "starts at once", value: perSecond, unit: "per second" },
    {
      name: "idle, shared pages by share, p50",
      value: quantile(
        memory.filter((mib) => mib !== undefined),
        0.5,
      ),
      unit: "MiB",
    },
  ];
}

async function end(sandbox: Sandbox): Promise<void> {
  await sandbox.kill("stopped");
  await sandbox.gone;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
