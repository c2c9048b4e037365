import { tryPort } from "#base/port.ts";
import { allowedHostProblem, type InspectOptions, inspectProblem, isLoopbackHost } from "#platform/dev/index.ts";

/** What is wrong with hosts that are to be allowed, undefined where nothing is. */
export function allowedHostsProblem(hosts: readonly string[]): string | undefined {
  return hosts.map(allowedHostProblem).find((problem) => problem !== undefined);
}

/** Why debuggers can't listen there, and the error; undefined where they can. A port that is taken is no reason: they take the next. */
export function inspectRefusal(inspect: InspectOptions): Promise<{ text: string; cause: Error } | undefined> {
  return tryPort(inspect.host, inspect.port).then(
    () => undefined,
    (cause: NodeJS.ErrnoException) => ({ text: inspectProblem(inspect, cause), cause }),
  );
}

/** Whether only this machine reaches the debugger. */
export function isInspectedHere({ host }: InspectOptions): boolean {
  return isLoopbackHost(host.includes(":") ? `[${host}]` : host);
}
