/** What an app's sandboxes may reach, read from text that tenants write. Shared by colibri.yaml, the plans and the drivers. */
import { PlatformError } from "../errors.ts";
import { list, object, type TypeOf, tagged, text } from "../shape.ts";
import { isDenied, mergeRanges, parseRange, type Range } from "./ipv4.ts";

export const MAXIMUM_HOSTS = 256;
/** Of a name with `*.` and a port; addresses are shorter. */
export const MAXIMUM_HOST_LENGTH = 262;

/**
 * `internet` is everything but what is denied to all (ipv4.ts). A host is `example.com`, `*.example.com` (names below it, not
 * itself), `203.0.113.7` or `203.0.113.0/24`, each with an optional `:port`.
 */
export const networkPolicy = tagged("kind", {
  none: object({}),
  internet: object({}),
  allow: object({ hosts: list(text(MAXIMUM_HOST_LENGTH), MAXIMUM_HOSTS) }),
});
export type NetworkPolicy = TypeOf<typeof networkPolicy>;

export const INTERNET: NetworkPolicy = Object.freeze({ kind: "internet" });

/** An allow-list taken apart. */
export interface AllowList {
  readonly names: readonly AllowedName[];
  readonly fixed: readonly FixedRange[];
}

export interface AllowedName {
  /** Lower case, without the leading `*.`. */
  readonly name: string;
  readonly below: boolean;
  readonly port: number | undefined;
}

export interface FixedRange extends Range {
  readonly port: number | undefined;
}

type ParsedHost =
  | { readonly kind: "name"; readonly name: AllowedName }
  | { readonly kind: "range"; readonly range: FixedRange }
  | { readonly kind: "wrong"; readonly message: string };

const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;
const FORMS = "a name, *.name, an IPv4 address or an IPv4 range such as 203.0.113.0/24, with an optional :port";

/** @throws PlatformError config-invalid naming the host that is wrong. */
export function parseAllowList(hosts: readonly string[]): AllowList {
  if (hosts.length > MAXIMUM_HOSTS) throw invalid(tooMany(hosts.length));
  const names: AllowedName[] = [];
  const fixed: FixedRange[] = [];
  for (const host of hosts) {
    const parsed = parseHost(host);
    if (parsed.kind === "wrong") throw invalid(parsed.message);
    if (parsed.kind === "name") names.push(parsed.name);
    else fixed.push(parsed.range);
  }
  return { names, fixed: mergeFixed(fixed) };
}

/** What is wrong with a host of an allow-list, or undefined. */
export function hostProblem(host: string): string | undefined {
  const parsed = parseHost(host);
  return parsed.kind === "wrong" ? parsed.message : undefined;
}

/** What is wrong with a policy whose shape is right, with the place in it. */
export function networkProblems(policy: NetworkPolicy): { readonly path: string; readonly message: string }[] {
  if (policy.kind !== "allow") return [];
  const { hosts } = policy;
  if (hosts.length === 0) return [{ path: "hosts", message: "is empty: for nothing at all use the policy none" }];
  if (hosts.length > MAXIMUM_HOSTS) return [{ path: "hosts", message: tooMany(hosts.length) }];
  return hosts.flatMap((host, index) => {
    const message = hostProblem(host);
    return message === undefined ? [] : [{ path: `hosts[${index}]`, message }];
  });
}

/** Ports at which this name may be reached: `all`, or none when the name is not on the list. */
export function allowedPorts(list: AllowList, name: string): "all" | readonly number[] {
  const asked = name.toLowerCase();
  const matching = list.names.filter((row) => (row.below ? asked.endsWith(`.${row.name}`) : asked === row.name));
  const ports = matching.map((row) => row.port);
  return ports.includes(undefined) ? "all" : [...new Set(ports as number[])];
}

export function samePolicy(a: NetworkPolicy, b: NetworkPolicy): boolean {
  if (a.kind !== "allow" || b.kind !== "allow") return a.kind === b.kind;
  return a.hosts.length === b.hosts.length && a.hosts.every((host, index) => host === b.hosts[index]);
}

/** As a person would say it, whole. */
export function showPolicy(policy: NetworkPolicy): string {
  return policy.kind === "allow" ? `only ${policy.hosts.join(", ")}` : policy.kind;
}

function parseHost(host: string): ParsedHost {
  const scheme = /^[a-z][a-z0-9+.-]*:\/\//i.exec(host)?.[0];
  if (scheme !== undefined)
    return {
      kind: "wrong",
      message: `${quoted(host)} is an address of the web: leave ${scheme} out, and what stands behind the host`,
    };
  const found = splitPort(host);
  if (typeof found === "string") return { kind: "wrong", message: found };
  const { place, port } = found;
  const range = parseRange(place);
  if (range === undefined) return parseName(host, place, port);
  if (!isDenied(range)) return { kind: "range", range: { ...range, port } };
  return { kind: "wrong", message: `${quoted(host)} is private, and denied to every sandbox: take it off the list` };
}

/** Or what is wrong. */
function splitPort(host: string): { place: string; port: number | undefined } | string {
  const colon = host.lastIndexOf(":");
  if (colon < 0) return { place: host, port: undefined };
  const port = Number(host.slice(colon + 1));
  if (!/:[1-9]\d{0,4}$/.test(host) || port > 65_535)
    return `${quoted(host)} has no port from 1 to 65535 after its colon: expected ${FORMS}`;
  return { place: host.slice(0, colon), port };
}

function parseName(host: string, place: string, port: number | undefined): ParsedHost {
  const below = place.startsWith("*.");
  const name = (below ? place.slice(2) : place).toLowerCase().replace(/\.$/, "");
  const labels = name.split(".");
  // What looks like an address and is none would be a name that nobody can ask for.
  // Its own loopback, in every sandbox and whatever a nameserver says.
  if (labels.at(-1) === "localhost")
    return {
      kind: "wrong",
      message: `${quoted(host)} is the sandbox itself, which it always reaches, and never the machine's: take it off the list`,
    };
  const isName = name.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^\d+$/.test(labels.at(-1)!);
  if (isName) return { kind: "name", name: { name, below, port } };
  return { kind: "wrong", message: `${quoted(host)} is no host to allow: expected ${FORMS}` };
}

/** Ranges per port, none overlapping: nft takes no others. */
function mergeFixed(fixed: readonly FixedRange[]): FixedRange[] {
  const ports = [...new Set(fixed.map((range) => range.port))];
  return ports.flatMap((port) =>
    mergeRanges(fixed.filter((range) => range.port === port)).map((range) => ({ ...range, port })),
  );
}

function tooMany(count: number): string {
  return `${count} hosts are allowed; at most ${MAXIMUM_HOSTS} can be`;
}

function quoted(host: string): string {
  return JSON.stringify(host.length > 80 ? `${host.slice(0, 80)}…` : host);
}

function invalid(message: string): PlatformError {
  return new PlatformError("config-invalid", `network: ${message}`);
}
