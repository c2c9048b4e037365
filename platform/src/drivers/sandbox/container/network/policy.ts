/** What an app's sandboxes may reach, read from text that tenants write. */
import { PlatformError } from "#contract/errors.ts";
import { isDenied, mergeRanges, parseRange, type Range } from "./ipv4.ts";

/**
 * `internet` is everything but what is denied to all (ipv4.ts). A host is `example.com`, `*.example.com` (names below it, not
 * itself), `203.0.113.7` or `203.0.113.0/24`, each with an optional `:port`.
 */
export type NetworkPolicy =
  | { readonly kind: "none" }
  | { readonly kind: "internet" }
  | { readonly kind: "allow"; readonly hosts: readonly string[] };

/** An allow-list taken apart. */
export interface AllowList {
  readonly names: readonly AllowedName[];
  readonly fixed: readonly FixedRange[];
}

interface AllowedName {
  /** Lower case, without the leading `*.`. */
  readonly name: string;
  readonly below: boolean;
  readonly port: number | undefined;
}

interface FixedRange extends Range {
  readonly port: number | undefined;
}

const MAXIMUM_HOSTS = 256;
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const FORMS = "a name, *.name, an IPv4 address or an IPv4 range such as 203.0.113.0/24, with an optional :port";

/** @throws PlatformError config-invalid naming the host that is wrong. */
export function parseAllowList(hosts: readonly string[]): AllowList {
  if (hosts.length > MAXIMUM_HOSTS) throw invalid(`${hosts.length} hosts are allowed; at most ${MAXIMUM_HOSTS} can be`);
  const names: AllowedName[] = [];
  const fixed: FixedRange[] = [];
  for (const host of hosts) {
    const { place, port } = splitPort(host);
    const range = parseRange(place);
    if (range === undefined) names.push({ ...parseName(host, place), port });
    else if (isDenied(range)) throw invalid(`"${host}" is private, and denied to every sandbox: take it off the list`);
    else fixed.push({ ...range, port });
  }
  return { names, fixed: mergeFixed(fixed) };
}

/** Ports at which this name may be reached: `all`, or none when the name is not on the list. */
export function allowedPorts(list: AllowList, name: string): "all" | readonly number[] {
  const asked = name.toLowerCase();
  const matching = list.names.filter((row) => (row.below ? asked.endsWith(`.${row.name}`) : asked === row.name));
  const ports = matching.map((row) => row.port);
  return ports.includes(undefined) ? "all" : [...new Set(ports as number[])];
}

export function samePolicy(a: NetworkPolicy, b: NetworkPolicy): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function splitPort(host: string): { place: string; port: number | undefined } {
  const colon = host.lastIndexOf(":");
  if (colon < 0) return { place: host, port: undefined };
  const port = Number(host.slice(colon + 1));
  if (!/:[1-9]\d{0,4}$/.test(host) || port > 65_535) throw invalid(`"${host}" has no port after its colon: ${FORMS}`);
  return { place: host.slice(0, colon), port };
}

function parseName(host: string, place: string): { name: string; below: boolean } {
  const below = place.startsWith("*.");
  const name = (below ? place.slice(2) : place).toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  // What looks like an address and is none would be a name that nobody can ask for.
  const isName = name.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
  if (!isName) throw invalid(`"${host}" is no host to allow: expected ${FORMS}`);
  return { name, below };
}

/** Ranges per port, none overlapping: nft takes no others. */
function mergeFixed(fixed: readonly FixedRange[]): FixedRange[] {
  const ports = [...new Set(fixed.map((range) => range.port))];
  return ports.flatMap((port) =>
    mergeRanges(fixed.filter((range) => range.port === port)).map((range) => ({ ...range, port })),
  );
}

function invalid(message: string): PlatformError {
  return new PlatformError("config-invalid", `network: ${message}`);
}
