import { existsSync, readdirSync, readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { join } from "node:path";
import { SANDBOX_PLACE } from "#drivers/sandbox/container/own-mounts.ts";
import type { RunningPlatform } from "./platform.ts";

export interface HostProcess {
  readonly pid: number;
  readonly parent: number;
  readonly title: string;
  /** Own, and of children that were waited for. */
  readonly cpuSeconds: number;
}

const TICKS_PER_SECOND = 100;

/** All that descend from the platform's supervisor, itself included: roles, and what is in sandboxes. */
export function processesOf({ pid }: RunningPlatform): HostProcess[] {
  const all = readdirSync("/proc").flatMap((name) => (/^\d+$/.test(name) ? readProcess(Number(name)) : []));
  const children = Map.groupBy(all, ({ parent }) => parent);
  const found = all.filter((process) => process.pid === pid);
  for (const process of found) found.push(...(children.get(process.pid) ?? []));
  return found;
}

/** As `gateway`; of sandboxes `sandbox`. */
export function roleOf({ title }: HostProcess): string {
  return /^colibri: (\w+)$/.exec(title)?.[1] ?? "sandbox";
}

export function processOf(platform: RunningPlatform, role: string): HostProcess {
  const found = processesOf(platform).find((process) => roleOf(process) === role);
  if (found === undefined) throw new Error(`the platform has no process for ${role}`);
  return found;
}

export function cpuSecondsOf(platform: RunningPlatform): number {
  return processesOf(platform).reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0);
}

/** Guests that listen, seen through the agent's own mount table. */
export function listeningGuests(agentPid: number): number {
  const folder = `/proc/${agentPid}/root${SANDBOX_PLACE}/sandboxes`;
  if (!existsSync(folder)) throw new Error("this bench counts container sandboxes, and the platform has none");
  return readdirSync(folder).filter((id) => existsSync(join(folder, id, "run", "guest.sock"))).length;
}

/** Of the whole machine, in MiB: what neighbours take or free meanwhile is in it. */
export function availableMiB(): number {
  return Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1]) / 1024;
}

/** Memory of a process, in MiB; shared pages by share where `shared` is. Undefined when it is gone. */
export function memoryMiB(pid: number, kind: "Rss" | "Pss" = "Pss"): number | undefined {
  const text = tryRead(`/proc/${pid}/smaps_rollup`);
  const kiB = new RegExp(`^${kind}:\\s+(\\d+) kB$`, "m").exec(text ?? "")?.[1];
  return kiB === undefined ? undefined : Number(kiB) / 1024;
}

/** Beside every figure: what else the machine was doing. */
export function loadNow(): string {
  return loadavg()[0]!.toFixed(1);
}

/** Looks until it is so. @throws when it is not within `withinMs`. */
export async function until(what: string, withinMs: number, isSo: () => boolean, everyMs = 10): Promise<void> {
  const endMs = performance.now() + withinMs;
  while (!isSo()) {
    if (performance.now() > endMs) throw new Error(`not within ${withinMs / 1_000} s: ${what}`);
    await sleep(everyMs);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}

export function tryRead(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

function readProcess(pid: number): HostProcess[] {
  const stat = tryRead(`/proc/${pid}/stat`);
  const title = tryRead(`/proc/${pid}/cmdline`);
  if (stat === undefined || title === undefined) return [];
  // The name, in brackets, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const cpuSeconds = ticks / TICKS_PER_SECOND;
  return [{ pid, parent: Number(fields[1]), title: title.replaceAll("\0", " ").trim(), cpuSeconds }];
}
