/** IPv4 addresses as numbers, and ranges of them, both ends included. Sandboxes speak no IPv6. */

export interface Range {
  readonly first: number;
  readonly last: number;
}

const OCTET = /^(?:0|[1-9]\d{0,2})$/;

/** Undefined unless it is four decimal octets. */
export function parseAddress(text: string): number | undefined {
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => OCTET.test(octet) && Number(octet) <= 255)) return undefined;
  return octets.reduce((address, octet) => address * 256 + Number(octet), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** An address or a CIDR range. Undefined when malformed or when bits behind the prefix are set. */
export function parseRange(text: string): Range | undefined {
  const [base, prefix, ...rest] = text.split("/");
  const first = parseAddress(base!);
  if (first === undefined || rest.length > 0) return undefined;
  if (prefix === undefined) return { first, last: first };
  if (!/^\d{1,2}$/.test(prefix) || Number(prefix) > 32) return undefined;
  const size = 2 ** (32 - Number(prefix));
  return first % size === 0 ? { first, last: first + size - 1 } : undefined;
}

/** As nft writes it. */
export function formatRange({ first, last }: Range): string {
  return first === last ? formatAddress(first) : `${formatAddress(first)}-${formatAddress(last)}`;
}

function contains(outer: Range, inner: Range): boolean {
  return outer.first <= inner.first && inner.last <= outer.last;
}

export function overlaps(a: Range, b: Range): boolean {
  return a.first <= b.last && b.first <= a.last;
}

/** The same addresses in the fewest ranges, none touching another: nft's interval sets refuse overlaps. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => a.first - b.first)) {
    const previous = merged.at(-1);
    if (previous === undefined || range.first > previous.last + 1) merged.push(range);
    else merged[merged.length - 1] = { first: previous.first, last: Math.max(previous.last, range.last) };
  }
  return merged;
}

/**
 * Where no sandbox may go, whatever its policy says: what is not the public internet (RFC 6890), the metadata addresses of
 * clouds among it (169.254.169.254, and Alibaba Cloud's 100.100.100.200).
 */
export const DENIED: readonly string[] = Object.freeze([
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "224.0.0.0/4",
  "240.0.0.0/4",
]);

const DENIED_RANGES = DENIED.map((text) => parseRange(text)!);

/** Whether all of it lies where no sandbox may go. */
export function isDenied(range: Range): boolean {
  return DENIED_RANGES.some((denied) => contains(denied, range));
}
