import { requireProgram, run } from "./tools.ts";

export interface LoadResult {
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
}

/** One run of wrk: one thread, `connections` connections, closed loop. */
export async function load(url: string, connections: number, seconds: number): Promise<LoadResult> {
  requireProgram("wrk", "wrk");
  const output = await run("wrk", ["-t1", `-c${connections}`, `-d${seconds}s`, "--latency", url]);
  const errors = (/Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? "0").toString();
  const socketErrors =
    /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(output)?.slice(1) ?? [];
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1] ?? Number.NaN),
    p50Us: microseconds(/50%\s+([\d.]+)(us|ms|s)/.exec(output)),
    p99Us: microseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(output)),
    errors: Number(errors) + socketErrors.reduce((sum, text) => sum + Number(text), 0),
  };
}

function microseconds(match: RegExpExecArray | null): number {
  if (match === null) return Number.NaN;
  const factor = { us: 1, ms: 1_000, s: 1_000_000 }[match[2] as "us" | "ms" | "s"];
  return Number(match[1]) * factor;
}
