import type { AppConfig } from "#contract/config/app-config.ts";

/** A browser that a web page has led here by a name of its own has that name in it. */
const LOOPBACK = /^(?:localhost|(?:[a-z\d-]+\.)+localhost|127(?:\.\d{1,3}){3}|\[::1\])\.?$/;

/** Of a `Host` header: without the port. */
function nameOf(host: string): string {
  return host.replace(/:\d*$/, "").toLowerCase();
}

export function isLoopbackHost(host: string): boolean {
  return LOOPBACK.test(nameOf(host));
}

/**
 * Whom a request that is for `host` may reach: names of this machine, hosts that the app's HTTP triggers claim, and those that were
 * allowed. Returns what is wrong, undefined where nothing is.
 */
export function hostProblem(host: string, { functions }: AppConfig, allowed: readonly string[]): string | undefined {
  const name = nameOf(host);
  if (LOOPBACK.test(name) || allowed.some((one) => one.toLowerCase() === name)) return undefined;
  for (const { config } of Object.values(functions))
    for (const trigger of config.policy.triggers)
      if (!("timer" in trigger) && trigger.host?.toLowerCase() === name) return undefined;
  const shown = JSON.stringify(name.slice(0, 100));
  return `dev answers for localhost, not for ${shown}: a web page could have led a browser here. If you mean it, start dev with --allow-host ${name.slice(0, 100)}, or claim the host with a trigger`;
}
