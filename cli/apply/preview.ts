import { digestStream } from "#platform/builder/archive/digest.ts";
import { packFolder } from "#platform/builder/archive/pack.ts";
import { requestFor } from "../deploy/app.ts";
import type { Source } from "../deploy/source.ts";
import type { NamedApp } from "./apps.ts";
import { type ApplyRun, type AppOutcome, sideBySide } from "./deploy-all.ts";

/** What control says that deploying each app would change. Nothing is uploaded. */
export function previewAll(run: ApplyRun, apps: readonly NamedApp[]): Promise<AppOutcome[]> {
  return sideBySide(run, apps, (app) => previewOne(run, app));
}

async function previewOne({ client, signal, prune }: ApplyRun, { file, sources }: NamedApp): Promise<AppOutcome> {
  const digests = new Map<string, string>();
  for (const source of sources) {
    const digest = await digestOf(source, signal);
    for (const name of source.functions) digests.set(name, digest);
  }
  return client.preview(requestFor(file, digests, prune));
}

async function digestOf({ folder, entries }: Source, signal: AbortSignal): Promise<string> {
  const stream = digestStream(packFolder(folder, entries));
  for await (const _chunk of stream) signal.throwIfAborted();
  return stream.digest();
}
