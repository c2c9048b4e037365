import type { InspectOptions } from "#platform/dev/index.ts";
import { inspectRefusal, isInspectedHere } from "#platform/main/dev/option-checks.ts";
import { CliError, usageError } from "../failure.ts";

/** As Node's. */
const INSPECT_DEFAULTS = { host: "127.0.0.1", port: 9229 } as const;

/** Where others can reach the debugger too, and with it run what they like; as with Node, that is allowed. */
export function openDebuggerWarning(inspect: InspectOptions): string | undefined {
  if (isInspectedHere(inspect)) return undefined;
  return `Warning: debuggers listen on ${inspect.host}. Whoever reaches that address can run any program here, as you: use it in a network you trust, or leave the host out.`;
}

/** Before anything is started. A port that is taken is no reason: debuggers take the next. @throws CliError */
export async function checkInspect(inspect: InspectOptions): Promise<void> {
  const refusal = await inspectRefusal(inspect);
  if (refusal === undefined) return;
  const { text, cause } = refusal;
  throw new CliError(`${text[0]!.toUpperCase()}${text.slice(1)}.`, { cause });
}

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
