import { once } from "node:events";
import { isId } from "#contract/names.ts";
import type { LogLine } from "#sdk/node/client.ts";
import { Client, type LogQuery } from "../client/client.ts";
import { orSuggest } from "../client/not-found.ts";
import { findConnection } from "../connection/connection.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { followLogs } from "../logs/follow.ts";
import { renderLine } from "../logs/line.ts";
import { createStyle } from "../output/style.ts";
import { parseSpan } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant, parseFunctionName } from "../target.ts";

export interface LogsOptions {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: string;
  readonly invocation?: string;
  readonly json?: boolean;
  readonly tenant: string;
}

const DEFAULT_TAIL = 100;

export async function logs(surroundings: Surroundings, name: string, options: LogsOptions): Promise<ExitCode> {
  const target = parseFunctionName(name);
  const query = queryFrom(options, Date.now());
  const signal = options.follow ? surroundings.interruption() : undefined;
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant), signal);
  const lines = signal
    ? followLogs(client, target, { query, signal, changed: (connected) => tellConnection(surroundings, connected) })
    : client.logs(target, query);
  try {
    const shown = await orSuggest(client, target, () => print(surroundings, lines, options));
    if (shown === 0) surroundings.stderr.write(`no lines yet: ${noneOf(name, options)}\n`);
  } catch (error) {
    if (!signal?.aborted) throw error;
  }
  return EXIT.ok;
}

function queryFrom(options: LogsOptions, now: number): LogQuery {
  const { follow, since, invocation } = options;
  if (invocation !== undefined && !isId(invocation))
    throw usageError(
      `--invocation "${invocation}" is no id: ids have 26 digits and capital letters.`,
      "Answers carry it in the header Colibri-Invocation-Id; `npx colibri inspect` lists the last ones.",
    );
  const tail = options.tail ?? (since === undefined && invocation === undefined ? DEFAULT_TAIL : undefined);
  return {
    ...(follow && { follow }),
    ...(tail !== undefined && { tail }),
    ...(since !== undefined && { since: parseSince(since, now) }),
    ...(invocation !== undefined && { invocation }),
  };
}

/** A span back from now, or a time. */
export function parseSince(text: string, now: number): string {
  const span = parseSpan(text);
  if (span !== undefined) return new Date(Math.max(0, now - span)).toISOString();
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(time))
    throw usageError(`--since "${text}" is no time: write a span such as 10m, 2h or 1d, or 2026-01-31T12:00:00Z.`);
  return new Date(time).toISOString();
}

/** How many there were. */
async function print(
  surroundings: Surroundings,
  lines: AsyncIterable<LogLine>,
  { json, follow }: LogsOptions,
): Promise<number> {
  const { stdout, env } = surroundings;
  const style = createStyle(stdout, env);
  const saysNothing = follow ? hintWhenSilent(surroundings) : undefined;
  let shown = 0;
  for await (const line of lines) {
    clearTimeout(saysNothing);
    shown++;
    const flows = stdout.write(json ? `${JSON.stringify(line)}\n` : renderLine(line, style));
    if (!flows) await once(stdout, "drain");
  }
  return shown;
}

const SILENT_MS = 500;

/** At a terminal, that nothing comes should not look as if it hung. */
function hintWhenSilent({ stderr, env }: Surroundings): NodeJS.Timeout | undefined {
  if (stderr.isTTY !== true) return undefined;
  const text = createStyle(stderr, env)("dim", "waiting for lines; Ctrl-C ends");
  return setTimeout(() => stderr.write(`${text}\n`), SILENT_MS).unref();
}

function noneOf(name: string, { invocation, since }: LogsOptions): string {
  const from = since === undefined ? "" : ` since ${since}`;
  if (invocation === undefined) return `${name} has logged nothing${from}`;
  return `invocation ${invocation} of ${name} has logged nothing${from}, or is not known here`;
}

function tellConnection({ stderr, env }: Surroundings, connected: boolean): void {
  const text = connected ? "Connected again." : "The connection was lost; trying again. Ctrl-C ends.";
  stderr.write(`${createStyle(stderr, env)("dim", text)}\n`);
}
