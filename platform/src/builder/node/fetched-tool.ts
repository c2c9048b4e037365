import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job } from "../job.ts";
import { explainFailure } from "./explain.ts";
import type { Npm } from "./npm.ts";
import type { PinnedTool } from "./pinned-tools.ts";

/** Puts the tool into the job's scratch folder, from the cache or by npm, which holds it against the tool's integrity. Returns its program. */
export async function fetchTool(job: Job, npm: Npm, cache: InstalledCache, tool: PinnedTool): Promise<string> {
  const { manager, packageName, version, integrity, program } = tool;
  const folder = join(job.scratch, "tool");
  const installed = join(folder, "node_modules");
  const key = `tool-${manager}-${version}`;
  await mkdir(folder);
  if (!(await cache.take(job.cache, key, installed))) {
    job.onStep(`Fetching ${manager} ${version}`);
    const manifest = { name: "tool", version: "0.0.0", dependencies: { [packageName]: version } };
    const packages = { "": manifest, [`node_modules/${packageName}`]: { version, integrity } };
    const lock = { name: "tool", version: "0.0.0", lockfileVersion: 3, requires: true, packages };
    await writeFile(join(folder, "package.json"), JSON.stringify(manifest));
    await writeFile(join(folder, "package-lock.json"), JSON.stringify(lock));
    // Not with the function's .npmrc: which registry it is fetched from is the platform's to say.
    const outcome = await npm.run(["ci", "--ignore-scripts", "--prefer-offline"], { folder, isQuiet: true });
    if (outcome.code !== 0) throw notFetched(tool, explainFailure("npm", "the pinned tool", outcome.lines));
    await rm(join(installed, ".bin"), { recursive: true, force: true });
    await cache.keep(job.cache, key, installed);
  }
  return join(installed, packageName, program);
}

function notFetched({ manager, packageName, version }: PinnedTool, why: string) {
  return dependenciesFailed(
    `${manager} ${version} could not be fetched: the package registry of the platform's host must have ${packageName}@${version}, or use npm's lock file. ${why}`,
  );
}
