import { findApps, type NamedApp } from "../apply/apps.ts";
import { type AppOutcome, deployAll } from "../apply/deploy-all.ts";
import { previewAll } from "../apply/preview.ts";
import { describeOutcomes, renderOutcomes } from "../apply/summary.ts";
import { Client } from "../client/client.ts";
import { findConnection } from "../connection/connection.ts";
import { Board, Progress } from "../deploy/progress.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { renderFailure } from "../output/failure.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant } from "../target.ts";
import { checkAccess, warn } from "./deploy.ts";

export interface ApplyOptions extends FormatOptions {
  readonly file: readonly string[];
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly tenant: string;
}

/** Each app is released as a whole or not at all; one that fails leaves the others alone. */
export async function apply(surroundings: Surroundings, options: ApplyOptions): Promise<ExitCode> {
  const tenant = checkTenant(options.tenant);
  const { apps, unread } = await findApps(surroundings, options.file);
  const board = new Board(surroundings);
  const signal = surroundings.interruption();
  const client = new Client(findConnection(surroundings), tenant, signal);
  if (apps[0] !== undefined) await checkAccess(client, nameOf(apps[0]));
  const run = { surroundings, client, board, signal, verbose: options.verbose === true, prune: options.prune === true };
  const outcomes = await (options.dryRun ? previewAll(run, apps) : deployAll(run, apps));
  const lost = unread.map(({ folder, error }) => ({ app: folder, functions: [], warnings: [], error }));
  return conclude(surroundings, [...outcomes, ...lost], options);
}

function nameOf({ file }: NamedApp): string {
  return file.config.app;
}

async function conclude(
  surroundings: Surroundings,
  outcomes: readonly AppOutcome[],
  options: ApplyOptions,
): Promise<ExitCode> {
  const style = createStyle(surroundings.stdout, surroundings.env);
  const names = (): string[] =>
    outcomes.flatMap(({ app, functions }) => functions.map((fn) => `${app}/${fn.function}`));
  // The platform's, which knows what it does: those of this command line would say the same a second time.
  for (const { app, warnings } of outcomes) warn(new Progress(surroundings, new Board(surroundings), app), warnings);
  const text = (): string => renderOutcomes(outcomes, style, options.dryRun === true);
  surroundings.stdout.write(await print({ data: describeOutcomes(outcomes), text, names }, options));
  const failed = outcomes.flatMap(({ error }) => error ?? []);
  for (const error of failed) surroundings.stderr.write(renderFailure(error, surroundings));
  const codes = new Set(failed.map(({ exit }) => exit));
  const [first] = codes;
  // Different reasons have no exit code in common.
  return codes.size > 1 ? EXIT.failure : (first ?? EXIT.ok);
}
