import { INSPECT_DEFAULTS, type InspectOptions } from "#platform/main/dev/inspect.ts";
import { usageError } from "../failure.ts";

/** `--inspect` as Node has it: nothing, a port, or host and port. */
export function inspectOption(
  inspect: string | true | undefined,
  brk: string | true | undefined,
): InspectOptions | undefined {
  const given = brk ?? inspect;
  if (given === undefined) return undefined;
  if (given === true) return { ...INSPECT_DEFAULTS, brk: brk !== undefined };
  const [, host = INSPECT_DEFAULTS.host, digits = ""] = /^(?:(?:\[?([^\]]+)\]?):)?(\d+)$/.exec(given) ?? [];
  const port = Number(digits);
  if (digits !== "" && port <= 65_535) return { host, port, brk: brk !== undefined };
  throw usageError(
    `--inspect${brk === undefined ? "" : "-brk"}=${given} is no place for a debugger: write a port such as 9229, or host:port.`,
  );
}
