// What the container sandboxes of a platform leave on a machine, and whether all of it belongs to somebody.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createNames, linkNumber, networkNumber, PIN_FOLDER } from "#drivers/sandbox/container/network/names.ts";
import { SANDBOX_PLACE } from "#drivers/sandbox/container/own-mounts.ts";
import { homeKey } from "#platform/main/home.ts";
import { NETWORKS } from "#platform/main/sandbox-driver.ts";
import { ROLES } from "#platform/main/supervisor.ts";
import { processesOf, roleOf } from "./processes.ts";

const CGROUPS = "/sys/fs/cgroup";

/** Ids of the sandboxes that have control groups, in whichever hierarchy. */
export function groupsOf(home: string): string[] {
  return [...new Set(foldersOf(home).flatMap(subfoldersOf))].sort();
}

/** The processes in there, on the host. */
export function pidsIn(home: string, sandbox: string): number[] {
  const files = foldersOf(home).map((folder) => join(folder, sandbox, "cgroup.procs"));
  const pids = files.flatMap((file) => read(file).split("\n").map(Number));
  return [...new Set(pids.filter((pid) => pid > 0))];
}

/** The parents of all control groups, one for each hierarchy; and the tree itself where there is only one. */
function foldersOf(home: string): string[] {
  return ["", ...subfoldersOf(CGROUPS)].map((name) => join(CGROUPS, name, "colibri", homeKey(home)));
}

/** What is on the machine that no sandbox in a pool accounts for, or that such a one lacks; empty when nothing is. */
export function leaksOf(home: string): string[] {
  const agent = roleOf(home, "agent");
  if (agent === undefined) return ["there is no agent"];
  const pool = new Map(readHandles(home).flatMap(({ id, generic, network }) => (generic ? [[id, network]] : [])));
  const ids = [...pool.keys()];
  const inside = `/proc/${agent.pid}/root${SANDBOX_PLACE}`;
  const mounted = mountsOf(agent.pid);
  const under = (folder: string) => mounted.flatMap((path) => nameUnder(path, `${SANDBOX_PLACE}/${folder}/`));
  return [
    ...differ("handles", list(join(home, "agent", "sandboxes")), ids),
    ...differ("control groups", groupsOf(home), ids),
    ...differ("folders", list(join(inside, "sandboxes")), ids),
    ...differ("containers", list(join(inside, "state")), ids),
    ...differ("mounts", under("sandboxes"), ids),
    ...differ("bundles", [...list(join(inside, "bundles")), ...under("bundles")], []),
    ...differ("folders of the machine's", list(SANDBOX_PLACE), []),
    ...ids.filter((id) => pidsIn(home, id).length === 0).map((id) => `sandbox ${id} has no process`),
    ...strangersOf(home),
    ...networkLeaks(home, mounted, [...pool.values()]),
  ];
}

/** What is left of a home's sandboxes when no platform runs there: all that the machine, and not its own mount table, knows of. */
export function remainsOf(home: string): string[] {
  const { links, rows } = networksOf(home);
  return [
    ...groupsOf(home).map((id) => `control group ${id}`),
    ...processesOf(home).map(({ pid, title }) => `process ${pid} ${title}`),
    ...links.map((number) => `interface ${number}`),
    ...rows.map((number) => `nft element ${number}`),
    ...list(SANDBOX_PLACE).map((name) => `${SANDBOX_PLACE}/${name}`),
  ];
}

interface Handle {
  readonly id: string;
  /** It waits in a pool. */
  readonly generic: boolean;
  readonly network: string;
}

function readHandles(home: string): Handle[] {
  const folder = join(home, "agent", "sandboxes");
  return list(folder).flatMap((id) => {
    const [record] = read(join(folder, id, "handle.json")).split("\n");
    if (!record) return [];
    const { handle, life } = JSON.parse(record);
    return [{ id, generic: life.phase === "pending" && life.grant === undefined, network: handle.state.network }];
  });
}

/** Processes outside of sandboxes that are no role's; and dead ones that nobody buried. */
function strangersOf(home: string): string[] {
  const known = ["supervisor", ...ROLES].map((role) => `colibri: ${role}`);
  const own = processesOf(home).filter(({ sandbox }) => !sandbox);
  const strangers = own.filter(({ title }) => !known.includes(title) && !title.includes("bin/colibri"));
  const parents = new Map(own.map(({ pid, title }) => [pid, title]));
  const dead = zombies().filter(({ parent }) => parents.has(parent));
  return [
    ...strangers.map(({ pid, title }) => `process ${pid} ${title}`),
    ...dead.map(({ pid, name, parent }) => `process ${pid} ${name} is dead, and not buried by ${parents.get(parent)}`),
  ];
}

function zombies(): { pid: number; name: string; parent: number }[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((pid) => {
    const [, name, state, parent] = /^\d+ (\(.*\)) (.) (\d+)/s.exec(read(`/proc/${pid}/stat`)) ?? [];
    return state === "Z" ? [{ pid: Number(pid), name: name!, parent: Number(parent) }] : [];
  });
}

/** Each network is whole: interface, namespace and row in the table; and those of the pool are among them. */
function networkLeaks(home: string, mounted: readonly string[], used: readonly string[]): string[] {
  const names = namesOf(home);
  const { links, rows } = networksOf(home);
  const numbersOf = (pins: readonly string[]) => pins.flatMap((pin) => networkNumber(names, pin) ?? []);
  const pins = numbersOf(mounted.flatMap((path) => nameUnder(path, `${PIN_FOLDER}/`)));
  return [
    ...differ("rows of the nft table", rows, links),
    ...differ("namespaces", pins, links),
    // Their files are in the platform's own mount table.
    ...numbersOf(list(PIN_FOLDER)).map((number) => `a file of namespace ${number} on the machine`),
    ...used.filter((network) => !links.includes(networkNumber(names, network)!)).map((network) => `${network} is gone`),
    // Besides those that sandboxes have there are those made ahead.
    ...(links.length === used.length + NETWORKS ? [] : [`${links.length} networks for ${used.length} sandboxes`]),
  ];
}

function networksOf(home: string): { links: number[]; rows: number[] } {
  const names = namesOf(home);
  const links = list("/sys/class/net").flatMap((link) => linkNumber(names, link) ?? []);
  const rules = nft(["list", "ruleset"]);
  const [, family, table] = /^(\S+) (\S+)$/.exec(names.table)!;
  const own = rules.split(/^(?=table )/m).find((text) => text.startsWith(`table ${family} ${table} `)) ?? "";
  const rows = [...own.matchAll(new RegExp(`"(${names.linkPrefix}\\d+)" \\. `, "g"))];
  return { links, rows: [...new Set(rows.flatMap(([, link]) => linkNumber(names, link!) ?? []))] };
}

function nft(args: readonly string[]): string {
  return execFileSync("nft", args, { encoding: "utf8", env: { PATH: "/usr/sbin:/sbin:/usr/bin:/bin" } });
}

function namesOf(home: string) {
  return createNames(homeKey(home).slice(0, 6));
}

function mountsOf(pid: number): string[] {
  return read(`/proc/${pid}/mountinfo`)
    .split("\n")
    .flatMap((line) => line.split(" ")[4] ?? []);
}

/** The first part of a path below a folder. */
function nameUnder(path: string, folder: string): string[] {
  return path.startsWith(folder) ? [path.slice(folder.length).split("/")[0]!] : [];
}

function differ<T>(what: string, found: readonly T[], expected: readonly T[]): string[] {
  const missing = expected.filter((one) => !found.includes(one)).map((one) => `${what}: ${one} is missing`);
  const left = [...new Set(found)].filter((one) => !expected.includes(one)).map((one) => `${what}: ${one} is left`);
  return [...missing, ...left];
}

function list(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}

function subfoldersOf(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

/** Nothing of what is gone. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
