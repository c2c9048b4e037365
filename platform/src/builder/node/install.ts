import { createHash } from "node:crypto";
import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { explainFailure } from "./explain.ts";
import { installForeign, removeYarnLeftovers } from "./foreign-install.ts";
import { checkForeignLock } from "./foreign-lock.ts";
import { runInstallScripts } from "./install-scripts.ts";
import { type LockedManifest, readManifest } from "./lock-file.ts";
import { withoutGit } from "./no-git.ts";
import { createNpm, type Npm } from "./npm.ts";
import { readNpmLock } from "./npm-lock.ts";
import { type FilteredNpmrc, filterNpmrc } from "./npmrc.ts";
import { chooseTool, type PinnedTool } from "./pinned-tools.ts";

export interface NodeOptions {
  readonly npm: readonly string[];
  /** The Node that will load what is installed. */
  readonly node: {
    readonly program: string;
    /** With its platform. */
    readonly version: string;
  };
}

const MAXIMUM_NPMRC_BYTES = 65_536;

/** Fills node_modules as the lock file says. Install scripts run only for the packages that the configuration names. */
export async function installNodePackages(
  job: Job,
  environment: ToolEnvironment,
  cache: InstalledCache,
  options: NodeOptions,
): Promise<void> {
  const npmrc = await takeNpmrc(job);
  const manifest = await readManifest(job.source);
  if (manifest.kind === "none") return;
  if (manifest.kind === "unlocked") throw unlocked(manifest.dependencies, manifest.otherLock);
  const npm = createNpm(job, environment, options.npm);
  const plan = planOf(manifest);
  const key = isReusable(job, plan) ? await cacheKey(job, plan, [options.node.version, npmrc.text]) : undefined;
  const folder = join(job.source, "node_modules");
  if (key !== undefined && (await cache.take(job.cache, key, folder))) {
    job.onStep(`Took the packages of ${manifest.fileName} from the cache`);
  } else {
    const variables = await withoutGit(job.scratch, environment.variables);
    if (plan.tool === undefined) await installWithNpm(job, npm, manifest, npmrc, variables);
    else {
      const deps = { job, environment: { ...environment, variables }, cache, npm, node: options.node.program };
      await installForeign(deps, manifest, plan.tool, npmrc);
    }
    if (key !== undefined) await cache.keep(job.cache, key, folder);
  }
  if (manifest.manager === "yarn") await removeYarnLeftovers(job);
  await runInstallScripts(job, npm);
}

interface Plan {
  /** Undefined: npm does it. */
  readonly tool: PinnedTool | undefined;
  readonly hasLocalPackages: boolean;
  /** What decides which packages are installed. */
  readonly files: readonly string[];
}

const SETTINGS = { npm: [], pnpm: ["pnpm-workspace.yaml"], yarn: [".yarnrc.yml"] } as const;

function planOf(manifest: LockedManifest): Plan {
  const { manager, fileName } = manifest;
  const files = ["package.json", fileName, ...SETTINGS[manager]];
  if (manager === "npm") return { tool: undefined, ...readNpmLock(manifest), files };
  const tool = chooseTool({ ...manifest, manager });
  checkForeignLock(manifest);
  return { tool, hasLocalPackages: /\.patch\b/.test(manifest.text), files };
}

/** With scripts, and with files of the function, what is installed depends on more than the lock file. */
function isReusable(job: Job, plan: Plan): boolean {
  return !plan.hasLocalPackages && job.config.build.installScripts.length === 0;
}

async function cacheKey(job: Job, { tool, files }: Plan, parts: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const part of [...parts, tool?.version ?? ""]) hash.update(`${part.length}:${part}`);
  for (const file of files) {
    const content = await readFile(join(job.source, file)).catch(() => undefined);
    hash.update(`${content?.byteLength}:`).update(content ?? "");
  }
  return `node-${hash.digest("hex")}`;
}

async function installWithNpm(
  job: Job,
  npm: Npm,
  { fileName }: LockedManifest,
  npmrc: FilteredNpmrc,
  variables: Readonly<Record<string, string>>,
): Promise<void> {
  job.onStep(`Installing the packages of ${fileName}`);
  const { code, lines } = await npm.run(["ci", "--omit=dev", "--ignore-scripts"], {
    folder: job.source,
    npmrc: npmrc.text,
    secrets: npmrc.secrets,
    variables,
  });
  if (code !== 0) throw dependenciesFailed(explainFailure("npm", fileName, lines));
}

function unlocked(dependencies: readonly string[], otherLock: string | undefined) {
  const names = dependencies.slice(0, 5).join(", ");
  const other = otherLock === undefined ? "" : ` (${otherLock} is not read)`;
  return dependenciesFailed(
    `package.json names dependencies (${names}), but there is no package-lock.json, pnpm-lock.yaml or yarn.lock${other}: run "npm install", "pnpm install" or "yarn install" in the function's folder and deploy the lock file with it.`,
  );
}

/** Takes .npmrc out of the source: it may hold tokens, which are nothing for a bundle. */
async function takeNpmrc(job: Job): Promise<FilteredNpmrc> {
  const path = join(job.source, ".npmrc");
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && (!found.isFile() || found.size > MAXIMUM_NPMRC_BYTES))
    throw dependenciesFailed(`.npmrc must be a file of at most ${MAXIMUM_NPMRC_BYTES} bytes.`);
  const npmrc = filterNpmrc(found === undefined ? "" : await readFile(path, "utf8"));
  await rm(path, { force: true });
  if (npmrc.ignored.length > 0) job.onStep(`.npmrc: left out ${npmrc.ignored.slice(0, 10).join(", ")}`);
  return npmrc;
}
