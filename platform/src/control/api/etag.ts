/** A function's ETag is its version: no two states of it have the same. */
export function etagOf(version: number): string {
  return `"v${version}"`;
}

export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(etag);
}

/** The version that `If-Match` allows: any without the header, none (-1) when it names others only. */
export function expectedVersion(header: string | undefined, current: number): number | undefined {
  if (header === undefined || header.trim() === "*") return undefined;
  return matches(header, etagOf(current)) ? current : -1;
}
