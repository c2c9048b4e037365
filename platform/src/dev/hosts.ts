import { isIPv6 } from "node:net";
import type { AppConfig } from "#contract/config/app-config.ts";
import { HOST } from "#contract/config/triggers.ts";

/** A browser that a web page has led here by a name of its own has that name in it. */
const LOOPBACK = /^(?:localhost|(?:[a-z\d-]+\.)+localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const MAXIMUM_HOST = 253;

/** Of a `Host` header, or as somebody writes it: without the port, in the one way in which names are compared. */
function nameOf(host: string): string {
  return host
    .replace(/:\d*$/, "")
    .replace(/(?<=[^.])\.$/, "")
    .toLowerCase();
}

export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(nameOf(host));
}

/** What is wrong with a host that is to be allowed, undefined where nothing is. A port makes no difference. */
export function allowedHostProblem(given: string): string | undefined {
  const name = nameOf(given);
  const address = /^\[(.*)\]$/.exec(name)?.[1];
  if (address === undefined ? name.length <= MAXIMUM_HOST && HOST.test(name) : isIPv6(address)) return undefined;
  return `${JSON.stringify(given.slice(0, 100))} is no host: write its name without scheme, path or wildcard, such as demo.example.com`;
}

/**
 * Whom a request that is for `host` may reach: names of this machine, hosts that the app's HTTP triggers claim, and those that were
 * allowed. Returns what is wrong, undefined where nothing is.
 */
export function hostProblem(host: string, { functions }: AppConfig, allowed: readonly string[]): string | undefined {
  const name = nameOf(host);
  if (LOOPBACK.test(name) || allowed.some((one) => nameOf(one) === name)) return undefined;
  for (const { config } of Object.values(functions))
    for (const trigger of config.policy.triggers)
      if (!("timer" in trigger) && trigger.host?.toLowerCase() === name) return undefined;
  const shown = JSON.stringify(name.slice(0, 100));
  return `dev answers for localhost, not for ${shown}: a web page could have led a browser here. If you mean it, start dev with --allow-host ${name.slice(0, 100)}, or claim the host with a trigger`;
}
