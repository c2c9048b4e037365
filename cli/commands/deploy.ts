import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Deployment, DeploymentRequest } from "#contract/api/resources.ts";
import { Client } from "../client/client.ts";
import { ApiError } from "../client/problem.ts";
import { findConnection } from "../connection/connection.ts";
import type { Context } from "../context.ts";
import { type AppFile, readAppFile } from "../deploy/app-file.ts";
import { BuildOutput } from "../deploy/build-output.ts";
import { describeSources, renderSources } from "../deploy/dry-run.ts";
import { followDeployment } from "../deploy/follow.ts";
import { Progress } from "../deploy/progress.ts";
import { findSources, packSource, type Source } from "../deploy/source.ts";
import { withSpool } from "../deploy/spool.ts";
import { deploymentFailure, failedFunctions, renderDeployed, withUrls } from "../deploy/summary.ts";
import { upload } from "../deploy/upload.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import { retrying } from "../reconnect.ts";
import { checkTenant } from "../target.ts";

export interface DeployOptions {
  readonly prune?: boolean;
  readonly dryRun?: boolean;
  readonly verbose?: boolean;
  readonly json?: boolean;
  readonly tenant: string;
}

const RETRY_MS = 10_000;

export async function deploy(context: Context, given: string, options: DeployOptions): Promise<ExitCode> {
  const tenant = checkTenant(options.tenant);
  const folder = resolve(context.cwd, given);
  const file = readAppFile(context.cwd, given);
  const progress = new Progress(context);
  for (const warning of file.warnings) progress.line(`${progress.style("yellow", "warning:")} ${printable(warning)}`);
  const sources = await findSources(folder, file);
  if (options.dryRun) return dryRun(context, file, sources, options);
  const signal = context.interruption();
  const client = new Client(findConnection(context), tenant, signal);
  await checkAccess(client, file.config.app);
  const digests = await uploadAll(client, sources, progress, signal);
  const key = randomUUID();
  const request = requestFor(file, digests, options.prune === true);
  const started = await retrying(() => client.deploy(request, key), RETRY_MS, signal);
  const output = new BuildOutput(progress, options.verbose === true);
  const ended = await followDeployment(client, started, { progress, output }, signal);
  return conclude(context, withUrls(ended, client.connection.functions.value), { progress, output }, options);
}

function dryRun(context: Context, file: AppFile, sources: readonly Source[], options: DeployOptions): ExitCode {
  const text = options.json
    ? `${JSON.stringify(describeSources(file, sources), null, 2)}\n`
    : renderSources(file, sources, createStyle(context.stdout, context.env));
  context.stdout.write(text);
  return EXIT.ok;
}

/** Before anything is packed: a platform that is away or refuses the token should be known at once. */
async function checkAccess(client: Client, app: string): Promise<void> {
  try {
    await client.functions(app);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error;
  }
}

/** Digest by function. One archive after another, so that the spool holds one. */
function uploadAll(
  client: Client,
  sources: readonly Source[],
  progress: Progress,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  return withSpool(async (spool) => {
    const digests = new Map<string, string>();
    for (const [index, source] of sources.entries()) {
      progress.change(`${source.functions.join(", ")}: packing…`);
      const packed = await packSource(source, join(spool, `${index}.tar`), signal);
      await upload(client, packed, progress, signal);
      await rm(packed.path);
      for (const name of source.functions) digests.set(name, packed.digest);
    }
    return digests;
  });
}

function requestFor({ config }: AppFile, digests: ReadonlyMap<string, string>, prune: boolean): DeploymentRequest {
  const functions = Object.entries(config.functions).map(
    ([name, fn]) => [name, { config: fn.config, source: digests.get(name)! }] as const,
  );
  return { app: config.app, functions: Object.fromEntries(functions), ...(prune && { prune }) };
}

function conclude(
  context: Context,
  deployment: Deployment,
  { progress, output }: { progress: Progress; output: BuildOutput },
  options: DeployOptions,
): ExitCode {
  for (const warning of deployment.warnings)
    progress.line(`${progress.style("yellow", "warning:")} ${printable(warning)}`);
  if (options.json) context.stdout.write(`${JSON.stringify(deployment, null, 2)}\n`);
  if (deployment.state === "failed") {
    output.showKept(failedFunctions(deployment));
    throw deploymentFailure(deployment);
  }
  if (!options.json) context.stdout.write(renderDeployed(deployment, createStyle(context.stdout, context.env)));
  return EXIT.ok;
}
