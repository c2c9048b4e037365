/**
 * What platforms left on this host that were killed and not started again: sandboxes' processes in control groups
 * `colibri/<key>`, tables `inet colibri_<id>` and interfaces `cb<id>-…`, the id being the first six digits of the key.
 */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import { findProgram } from "#base/program.ts";
import { openCgroups } from "#drivers/sandbox/container/cgroups/cgroups.ts";
import { inspectCgroups } from "#drivers/sandbox/container/cgroups/inspect.ts";
import { holdKey, markedKeys, type Owner, ownerOf } from "./host-mark.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 15_000;
/** Where systems have `ip` and `nft`, whatever the search path. */
const TOOLS = "/usr/sbin:/sbin:/usr/bin:/bin";
const KEY = /^[0-9a-f]{8}$/;
const TABLE = /^colibri_([0-9a-f]{6})$/;
const LINK = /^cb([0-9a-f]{6})-/;
const PIN = /^colibri-([0-9a-f]{6})-/;
const SPAWNER = "colibri: spawner";
const AGENT = "colibri: agent";

export interface Leftover {
  /** Six hexadecimal digits. */
  readonly id: string;
  /** Eight; undefined where no control group tells it. */
  readonly key: string | undefined;
  readonly owner: Exclude<Owner, { kind: "lives" }>;
  readonly processes: readonly number[];
  readonly hasTable: boolean;
  readonly links: readonly string[];
}

export type Removed = { readonly kind: "removed" } | { readonly kind: "kept"; readonly why: string };

/** Of platforms that live nothing is told. Tables only to root. */
export async function findLeftovers(): Promise<Leftover[]> {
  const groups = groupsByKey();
  const keys = [...new Set([...groups.keys(), ...markedKeys()])];
  const living = livingIds();
  const tables = await tableIds();
  const links = readdirSync("/sys/class/net").filter((link) => LINK.test(link));
  const ids = new Set([...keys.map(idOf), ...tables, ...links.map((link) => LINK.exec(link)![1]!)]);
  return [...ids].sort().flatMap((id) => {
    const key = keys.find((candidate) => idOf(candidate) === id);
    const processes = groups.get(key ?? "") ?? [];
    const owner = key === undefined ? { kind: "unknown" as const } : ownerOf(key);
    if (owner.kind === "lives" || living.has(id) || processes.some(hasSpawner)) return [];
    const own = links.filter((link) => link.startsWith(`cb${id}-`));
    const leftover = { id, key, owner, processes, hasTable: tables.includes(id), links: own };
    return processes.length > 0 || leftover.hasTable || own.length > 0 ? [leftover] : [];
  });
}

/** Only while its owner can't start. Needs root. */
export async function removeLeftover({ id, key, hasTable }: Leftover): Promise<Removed> {
  const release = key === undefined ? () => {} : holdKey(key);
  if (release === undefined) return { kind: "kept", why: "its platform has been started meanwhile" };
  let done = false;
  // The clock's timers keep no process alive.
  const alive = setInterval(() => {}, TIMEOUT_MS);
  try {
    if (key !== undefined) await endSandboxes(key);
    if (hasTable) await tool("nft", ["delete", "table", "inet", `colibri_${id}`]);
    // Most went with the sandboxes.
    for (const link of readdirSync("/sys/class/net").filter((name) => name.startsWith(`cb${id}-`)))
      await tool("ip", ["link", "delete", link]).catch(unlessGone);
    done = true;
    return { kind: "removed" };
  } catch (error) {
    return { kind: "kept", why: (error as Error).message };
  } finally {
    clearInterval(alive);
    release(done);
  }
}

/** How many sandboxes run that a platform with this key has, or left. */
export function countSandboxes(key: string): number {
  const found = inspectCgroups();
  if (found.kind === "unusable") return 0;
  const folder = join(found.layout.roots.pids, "colibri", key);
  return foldersIn(folder).filter((id) => processesBelow(join(folder, id)).length > 0).length;
}

async function endSandboxes(key: string): Promise<void> {
  const deps = { clock: createSystemClock(), log: createSilentLog() };
  const cgroups = await openCgroups(deps, { parent: `colibri/${key}` });
  for (const id of await cgroups.list()) {
    const group = cgroups.find(id);
    await group.kill();
    await group.remove();
  }
  await cgroups.close();
}

/** Processes by key. */
function groupsByKey(): Map<string, number[]> {
  const found = inspectCgroups();
  const groups = new Map<string, number[]>();
  if (found.kind === "unusable") return groups;
  for (const root of found.layout.all)
    for (const key of foldersIn(join(root, "colibri")).filter((name) => KEY.test(name))) {
      const inRoot = processesBelow(join(root, "colibri", key));
      groups.set(key, [...new Set([...(groups.get(key) ?? []), ...inRoot])]);
    }
  return groups;
}

function processesBelow(folder: string): number[] {
  const own = readIfThere(join(folder, "cgroup.procs")).split("\n").filter(Boolean).map(Number);
  return [...own, ...foldersIn(folder).flatMap((name) => processesBelow(join(folder, name)))];
}

/** A spawner that lives looks after it, or is about to end it. */
function hasSpawner(pid: number): boolean {
  const parent = /^PPid:\t(\d+)$/m.exec(readIfThere(`/proc/${pid}/status`))?.[1];
  return parent !== undefined && readIfThere(`/proc/${parent}/cmdline`).startsWith(SPAWNER);
}

/** By the network namespaces that each agent holds where only it sees them: also of platforms that leave no mark. */
function livingIds(): Set<string> {
  const pids = foldersIn("/proc").filter((name) => /^\d+$/.test(name));
  const agents = pids.filter((pid) => readIfThere(`/proc/${pid}/cmdline`).startsWith(AGENT));
  const pins = agents.flatMap((pid) => namesIn(`/proc/${pid}/root/run/netns`));
  return new Set(pins.flatMap((pin) => PIN.exec(pin)?.[1] ?? []));
}

async function tableIds(): Promise<string[]> {
  if (process.getuid?.() !== 0 || findProgram("nft", TOOLS) === undefined) return [];
  const listed = JSON.parse(await tool("nft", ["-j", "list", "tables"])) as {
    nftables: { table?: { name: string } }[];
  };
  return listed.nftables.flatMap(({ table }) => TABLE.exec(table?.name ?? "")?.[1] ?? []);
}

async function tool(name: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run(findProgram(name, TOOLS) ?? name, args, { timeout: TIMEOUT_MS });
  return stdout;
}

function unlessGone(error: Error): void {
  if (!/Cannot find device/.test(error.message)) throw error;
}

function idOf(key: string): string {
  return key.slice(0, 6);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch {
    return [];
  }
}

/** Empty for what went meanwhile. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
