import { resolve } from "node:path";
import { asTyped } from "#base/own-command.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import type { Deployment } from "#sdk/node/client.ts";
import { Client } from "../client/client.ts";
import { ApiError } from "../client/problem.ts";
import { findConnection } from "../connection/connection.ts";
import { type AppSource, type Deploying, deployApp, readApp } from "../deploy/app.ts";
import { BuildOutput } from "../deploy/build-output.ts";
import { describeSources, renderSources } from "../deploy/dry-run.ts";
import { Progress } from "../deploy/progress.ts";
import { deploymentFailure, failedFunctions, renderDeployed } from "../deploy/summary.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { type FormatOptions, formatOf, print } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant } from "../target.ts";
import { firstCalls } from "../testing/first-call.ts";
import { redeploying } from "../watch/redeploy.ts";

export interface DeployOptions extends FormatOptions {
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly watch?: boolean;
  readonly verbose?: boolean;
  readonly tenant: string;
}

export async function deploy(surroundings: Surroundings, given: string, options: DeployOptions): Promise<ExitCode> {
  if (options.watch && options.dryRun) throw usageError("--watch and --dry-run do not go together.");
  const told = new Set<string>();
  const once = (signal?: AbortSignal): Promise<ExitCode> =>
    deployOnce(surroundings, given, { ...options, told }, signal);
  return options.watch ? redeploying(surroundings, given, once) : once();
}

/** `told`: what earlier rounds have warned of. */
type Round = DeployOptions & { readonly told: Set<string> };

async function deployOnce(
  surroundings: Surroundings,
  given: string,
  options: Round,
  interruption?: AbortSignal,
): Promise<ExitCode> {
  const tenant = checkTenant(options.tenant);
  const app = await readApp(surroundings, given);
  const progress = new Progress(surroundings);
  if (options.dryRun) {
    warn(progress, app.file.warnings);
    return dryRun(surroundings, app, options);
  }
  const signal = interruption ?? surroundings.interruption();
  const client = new Client(findConnection(surroundings), tenant, signal);
  await checkAccess(client, app.file.config.app);
  const deploying = { client, progress, output: new BuildOutput(progress, options.verbose === true), signal };
  const ended = await deployApp(deploying, app, options.prune === true);
  return conclude(surroundings, ended, { ...deploying, app, given }, options);
}

export function warn(progress: Progress, warnings: readonly string[]): void {
  for (const warning of warnings) progress.line(`${progress.style("yellow", "warning:")} ${printable(warning)}`);
}

async function dryRun(
  surroundings: Surroundings,
  { file, sources }: AppSource,
  options: DeployOptions,
): Promise<ExitCode> {
  const text = (): string => renderSources(file, sources, createStyle(surroundings.stdout, surroundings.env));
  const names = (): string[] => Object.keys(file.config.functions).map((name) => `${file.config.app}/${name}`);
  surroundings.stdout.write(await print({ data: describeSources(file, sources), text, names }, options));
  return EXIT.ok;
}

/** Before anything is packed: a platform that is away or refuses the token should be known at once. */
export async function checkAccess(client: Client, app: string): Promise<void> {
  try {
    await client.functions(app);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

async function conclude(
  surroundings: Surroundings,
  deployment: Deployment,
  { progress, output, app, given }: Deploying & { readonly app: AppSource; readonly given: string },
  options: Round,
): Promise<ExitCode> {
  // The platform's, which knows what it does: those of this command line would say the same a second time.
  const news = deployment.warnings.filter((warning) => !options.told.has(warning));
  warn(progress, news);
  for (const warning of news) options.told.add(warning);
  const failed = deployment.state === "failed";
  const text = (): string => {
    const { config } = app.file;
    const calls = firstCalls({ folder: resolve(surroundings.cwd, given), shown: given, app: deployment.app, config });
    const origin = { config, calls, options: sameOptions(surroundings, options) };
    return asTyped(
      renderDeployed(deployment, createStyle(surroundings.stdout, surroundings.env), origin),
      surroundings,
    );
  };
  const names = (): string[] => deployment.functions.map((fn) => `${deployment.app}/${fn.function}`);
  // Of a failure people are told on standard error; programs read it as data.
  if (!failed || formatOf(options) === "json" || formatOf(options) === "yaml")
    surroundings.stdout.write(await print({ data: deployment, text, names }, options));
  if (!failed) return EXIT.ok;
  output.showKept(failedFunctions(deployment));
  throw deploymentFailure(deployment);
}

/** What a command after this one must repeat. */
function sameOptions({ chosen }: Surroundings, { tenant }: DeployOptions): string {
  return `${tenant === DEFAULT_TENANT ? "" : ` --tenant ${tenant}`}${chosen === undefined ? "" : ` --context ${chosen}`}`;
}
