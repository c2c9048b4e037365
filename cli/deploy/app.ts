import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Deployment, DeploymentRequest } from "#sdk/node/client.ts";
import type { Client } from "../client/client.ts";
import { retrying } from "../reconnect.ts";
import type { Surroundings } from "../surroundings.ts";
import { type AppFile, readAppFile } from "./app-file.ts";
import type { BuildOutput } from "./build-output.ts";
import { followDeployment } from "./follow.ts";
import type { Progress } from "./progress.ts";
import { findSources, packSource, type Source } from "./source.ts";
import { withSpool } from "./spool.ts";
import { withUrls } from "./summary.ts";
import { upload } from "./upload.ts";

/** An app as it stands in its folder. */
export interface AppSource {
  readonly file: AppFile;
  readonly sources: readonly Source[];
}

/** The app in the folder that the user named `given`. */
export async function readApp({ cwd }: Pick<Surroundings, "cwd">, given: string): Promise<AppSource> {
  const file = readAppFile(cwd, given);
  return { file, sources: await findSources(resolve(cwd, given), file) };
}

export interface Deploying {
  readonly client: Client;
  readonly progress: Progress;
  readonly output: BuildOutput;
  readonly signal: AbortSignal;
}

const RETRY_MS = 10_000;

/** Packs, uploads what control does not have, and follows the deployment to its end, which may be a failure. */
export async function deployApp(deploying: Deploying, app: AppSource, prune: boolean): Promise<Deployment> {
  const { client, progress, output, signal } = deploying;
  const digests = await uploadAll(deploying, app.sources);
  const key = randomUUID();
  const request = requestFor(app.file, digests, prune);
  const started = await retrying(() => client.deploy(request, key), RETRY_MS, signal);
  const ended = await followDeployment(client, started, { progress, output }, signal);
  return withUrls(ended, client.connection.functions.value);
}

/** Digest by function. One archive after another, so that the spool holds one. */
function uploadAll({ client, progress, signal }: Deploying, sources: readonly Source[]): Promise<Map<string, string>> {
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

export function requestFor(
  { config }: AppFile,
  digests: ReadonlyMap<string, string>,
  prune: boolean,
): DeploymentRequest {
  const functions = Object.entries(config.functions).map(
    ([name, fn]) => [name, { config: fn.config, source: digests.get(name)! }] as const,
  );
  return {
    app: config.app,
    network: config.network,
    functions: Object.fromEntries(functions),
    ...(prune && { prune }),
  };
}
