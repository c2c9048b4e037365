import { isIP } from "node:net";

const LOOPBACK = ["localhost", "127.0.0.1", "::1"];

export type HostCheck = (host: string | undefined) => boolean;

/**
 * Bound to loopback, control answers only to names that mean loopback: else a page in the user's browser could reach it under a
 * name of its own that resolves to 127.0.0.1. Bound to an address of the network, any name may be right.
 */
export function createHostCheck(bind: string): HostCheck {
  const own = bind.replace(/^\[|\]$/g, "").toLowerCase();
  if (!isLoopback(own)) return () => true;
  const allowed = new Set([...LOOPBACK, own]);
  return (host) => host !== undefined && allowed.has(nameOf(host));
}

function isLoopback(bind: string): boolean {
  return LOOPBACK.includes(bind) || (isIP(bind) === 4 && bind.startsWith("127."));
}

/** Without port and brackets. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host)?.[1];
  return (bracketed ?? host.replace(/:\d+$/, "")).toLowerCase();
}
