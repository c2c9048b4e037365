import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { createNames, PIN_FOLDER } from "#drivers/sandbox/container/network/names.ts";
import { homeKey } from "#platform/main/home.ts";
import { memoryMiB, processesOf, roleOf, tryRead } from "./host.ts";
import type { RunningPlatform } from "./platform.ts";
import { run } from "./tools.ts";

export interface RoleCensus {
  readonly descriptors: number;
  readonly sockets: number;
  readonly rssMiB: number;
}

/** What a platform has of the host, nobody else's things among it. */
export interface Census {
  /** In sandboxes. */
  readonly processes: number;
  /** In the agent's own mount table. */
  readonly mounts: number;
  /** Folders, in all hierarchies. */
  readonly cgroups: number;
  readonly interfaces: number;
  readonly networkNamespaces: number;
  readonly nftElements: number;
  readonly roles: Readonly<Record<string, RoleCensus>>;
}

const CGROUPS = "/sys/fs/cgroup";

export async function takeCensus(platform: RunningPlatform): Promise<Census> {
  const processes = processesOf(platform);
  const ofRoles = processes.filter((process) => roleOf(process) !== "sandbox");
  const agent = ofRoles.find((process) => roleOf(process) === "agent");
  const names = createNames(homeKey(platform.home).slice(0, 6));
  const mounts = tryRead(`/proc/${agent?.pid}/mountinfo`)?.trimEnd().split("\n") ?? [];
  return {
    processes: processes.length - ofRoles.length,
    mounts: mounts.length,
    cgroups: countCgroups(homeKey(platform.home)),
    interfaces: list("/sys/class/net").filter((link) => link.startsWith(names.linkPrefix)).length,
    networkNamespaces: list(PIN_FOLDER).filter((pin) => pin.startsWith(names.namespacePrefix)).length,
    nftElements: await countElements(names.table),
    roles: Object.fromEntries(ofRoles.map((process) => [roleOf(process), censusOf(process.pid)])),
  };
}

function censusOf(pid: number): RoleCensus {
  const descriptors = list(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
  const sockets = descriptors.filter((target) => target.startsWith("socket:")).length;
  return { descriptors: descriptors.length, sockets, rssMiB: memoryMiB(pid, "Rss") ?? Number.NaN };
}

/** Of version 2 below the root, of version 1 below each controller's. */
function countCgroups(key: string): number {
  const roots = [CGROUPS, ...list(CGROUPS).map((name) => join(CGROUPS, name))];
  const folders = roots.filter((root) => lstatSync(root).isDirectory()).map((root) => join(root, "colibri", key));
  return folders.flatMap((folder) => list(folder, { recursive: true }).filter((name) => name.endsWith("cgroup.procs")))
    .length;
}

async function countElements(table: string): Promise<number> {
  const output = JSON.parse(await run("nft", ["-j", "list", "table", ...table.split(" ")])) as NftOutput;
  return output.nftables.reduce((sum, { set, map }) => sum + ((set ?? map)?.elem?.length ?? 0), 0);
}

interface NftOutput {
  readonly nftables: readonly { readonly set?: NftSet; readonly map?: NftSet }[];
}

interface NftSet {
  readonly elem?: readonly unknown[];
}

function list(folder: string, options: { recursive?: boolean } = {}): string[] {
  try {
    return readdirSync(folder, { ...options, encoding: "utf8" });
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}
