/** The host's own interfaces, routes and switches, as far as sandboxes need them. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { formatAddress, overlaps, parseRange, type Range } from "#contract/network/ipv4.ts";
import { type NetworkTools, run } from "./commands.ts";
import { linkNumber, type Names, networkNumber, PIN_FOLDER } from "./names.ts";

/** A quarter of 100.64.0.0/16: 16,384 addresses, so that an address comes back late. */
export const BLOCK_PREFIX = 18;
const BLOCK_SIZE = 2 ** (32 - BLOCK_PREFIX);
const BLOCKS = parseRange("100.64.0.0/10")!;
/** Alibaba Cloud answers here for metadata, names and time. */
const RESERVED = parseRange("100.100.0.0/16")!;
const BLOCK_COUNT = (BLOCKS.last - BLOCKS.first + 1) / BLOCK_SIZE;
/** Of an interface's flags in /proc/net/route. */
const ROUTE_GATEWAY = 2;

/** What of a home's networks is on the host, by number. */
export interface Remains {
  readonly links: ReadonlySet<number>;
  /** Names in the folder of pins, whether or not a namespace is mounted there. */
  readonly files: ReadonlySet<number>;
  /** Namespaces that are mounted in our mount table. */
  readonly pins: ReadonlySet<number>;
}

export async function readRemains(names: Names): Promise<Remains> {
  const [links, files, mounts] = await Promise.all([
    readdir("/sys/class/net"),
    readdir(PIN_FOLDER).catch(() => []),
    readFile("/proc/self/mountinfo", "utf8"),
  ]);
  const mounted = mounts.split("\n").flatMap((line) => {
    const target = line.split(" ")[4] ?? "";
    return target.startsWith(`${PIN_FOLDER}/`) ? [target.slice(PIN_FOLDER.length + 1)] : [];
  });
  return {
    links: numbers(links, (link) => linkNumber(names, link)),
    files: numbers(files, (file) => networkNumber(names, file)),
    pins: numbers(mounted, (pin) => networkNumber(names, pin)),
  };
}

function numbers(texts: readonly string[], numberOf: (text: string) => number | undefined): Set<number> {
  return new Set(texts.flatMap((text) => numberOf(text) ?? []));
}

/** First address of the block to use: that of the networks there are, else one that no route of the host's overlaps. */
export async function chooseBlock(tools: NetworkTools, names: Names, home: string): Promise<number> {
  const routes = JSON.parse(await run(tools.ip, ["-j", "-4", "route", "show", "table", "all"])) as IpRoute[];
  const isOurs = ({ dev }: IpRoute) => dev?.startsWith(names.linkPrefix) ?? false;
  const own = routes
    .filter(isOurs)
    .map(destination)
    .find((range) => range && overlaps(range, BLOCKS));
  if (own !== undefined) return own.first - (own.first % BLOCK_SIZE);
  // A default route leads everywhere and is in the way of nothing.
  const foreign = routes.filter((route) => !isOurs(route) && route.dst !== "default").map(destination);
  const start = Number.parseInt(home, 16) % BLOCK_COUNT;
  for (let step = 0; step < BLOCK_COUNT; step++) {
    const first = BLOCKS.first + ((start + step) % BLOCK_COUNT) * BLOCK_SIZE;
    const block = { first, last: first + BLOCK_SIZE - 1 };
    if (![RESERVED, ...foreign].some((range) => range && overlaps(range, block))) return first;
  }
  throw new Error("the host has routes into every part of 100.64.0.0/10: sandboxes need 16,384 addresses of it");
}

export function blockText(first: number): string {
  return `${formatAddress(first)}/${BLOCK_PREFIX}`;
}

interface IpRoute {
  readonly dst: string;
  readonly dev?: string;
}

function destination({ dst }: IpRoute): Range | undefined {
  return parseRange(dst);
}

/** Interfaces through which the host reaches the world: those of its routes over a gateway, and of a default route. */
export async function readUplinks(names: Names): Promise<string[]> {
  const lines = (await readFile("/proc/net/route", "utf8")).trim().split("\n").slice(1);
  const links = lines
    .map((line) => line.split(/\s+/))
    .flatMap(([link, target, , flags]) => {
      const leadsOut = target === "00000000" || (Number.parseInt(flags!, 16) & ROUTE_GATEWAY) !== 0;
      return leadsOut && !link!.startsWith(names.linkPrefix) ? [link!] : [];
    });
  return [...new Set(links)];
}

/** The largest packet that all these interfaces carry. */
export async function smallestMtu(links: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    links.map((link) => readFile(`/sys/class/net/${link}/mtu`, "utf8").then(Number, () => 1_500)),
  );
  return Math.min(1_500, ...sizes);
}

export async function forwardsEverywhere(): Promise<boolean> {
  return (await readFile("/proc/sys/net/ipv4/ip_forward", "utf8")).trim() !== "0";
}

export async function isForwarding(link: string): Promise<boolean> {
  return (await readFile(forwardingFile(link), "utf8")).trim() !== "0";
}

/** Whether packets that come in on this interface may leave by another. False when the interface is gone. */
export function setForwarding(link: string, on: boolean): Promise<boolean> {
  return writeFile(forwardingFile(link), on ? "1" : "0").then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return false;
      throw error;
    },
  );
}

function forwardingFile(link: string): string {
  return `/proc/sys/net/ipv4/conf/${link}/forwarding`;
}
