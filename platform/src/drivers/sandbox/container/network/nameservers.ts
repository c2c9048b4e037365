/** Whom the host asks for names. */
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import type { Clock } from "#base/clock.ts";

export interface Nameserver {
  readonly address: string;
  readonly port: number;
}

/** As many as libc reads. */
const MAXIMUM = 3;
const FRESH_MS = 5_000;

/** Reads the file anew when what it knows is some seconds old: networks change under a running host. */
export function createNameservers(deps: { clock: Clock }, path: string): () => Promise<readonly Nameserver[]> {
  let known: readonly Nameserver[] = [];
  let readAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (deps.clock.monotonic() - readAt < FRESH_MS) return known;
    readAt = deps.clock.monotonic();
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text !== undefined) known = parseNameservers(text);
    return known;
  };
}

/** Of a resolv.conf, in its order. */
export function parseNameservers(text: string): Nameserver[] {
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)]
    .map(([, address]) => address!)
    .filter((address) => isIP(address.split("%")[0]!) !== 0)
    .slice(0, MAXIMUM)
    .map((address) => ({ address, port: 53 }));
}
