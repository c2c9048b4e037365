import { mkdir, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parse } from "yaml";
import { exists } from "../exists.ts";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job, ToolOutcome } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { BERRY_SETTINGS_FILE, berryEnvironment, berrySettings } from "./berry-settings.ts";
import { explainFailure } from "./explain.ts";
import { fetchTool } from "./fetched-tool.ts";
import { pnpmSettings, writeForeignProject, writePackageJson } from "./foreign-project.ts";
import { type LockedManifest, readText } from "./lock-file.ts";
import { type Npm, PATIENCE } from "./npm.ts";
import type { FilteredNpmrc } from "./npmrc.ts";
import type { PinnedTool } from "./pinned-tools.ts";

export interface ForeignDeps {
  readonly job: Job;
  readonly environment: ToolEnvironment;
  readonly cache: InstalledCache;
  readonly npm: Npm;
  /** The Node that runs the tools. */
  readonly node: string;
}

/** What the tools leave in node_modules about themselves: times and folders, which would make every bundle another one. */
const TRACES = /^\.(?:modules\.yaml|pnpm|pnpm-workspace-state.*|yarn-integrity|yarn-state\.yml|package-map\.json)$/;
const PUBLIC_REGISTRY = /^( {2}resolved ")https:\/\/registry\.(?:yarnpkg\.com|npmjs\.org)\//gm;
/** What Yarn keeps beside the code; node_modules stands in for it. */
const YARN_LEFTOVERS = [".yarn", ".pnp.cjs", ".pnp.js", ".pnp.loader.mjs", ".pnp.data.json", ".yarnrc.yml", ".yarnrc"];

/** Fills node_modules by pnpm or Yarn, in a folder apart: flat, without development packages, without running anything. */
export async function installForeign(
  deps: ForeignDeps,
  manifest: LockedManifest,
  tool: PinnedTool,
  npmrc: FilteredNpmrc,
): Promise<void> {
  const { job } = deps;
  const project = join(job.scratch, "project");
  const program = await fetchTool(job, deps.npm, deps.cache, tool);
  job.onStep(`Installing the packages of ${manifest.fileName} with ${tool.manager} ${tool.version}`);
  await writeForeignProject(project, job.source, withRegistry(manifest, tool, deps.environment));
  const run = runnerOf(deps, { program, project, fileName: manifest.fileName, tool, npmrc });
  switch (tool.kind) {
    case "pnpm":
      await installWithPnpm(job, run, project, tool);
      break;
    case "classic":
      await installWithClassic(deps, run);
      break;
    case "berry":
      await installWithBerry(deps, run, project, manifest);
  }
  await moveInstalled(project, job.source);
  await rm(project, { recursive: true });
}

/** Yarn 1 writes whole addresses into its lock file; npm and the others ask the registry of the platform's host for what is public. */
function withRegistry(manifest: LockedManifest, tool: PinnedTool, { variables }: ToolEnvironment): LockedManifest {
  const registry = variables.npm_config_registry?.replace(/\/$/, "");
  if (tool.kind !== "classic" || registry === undefined) return manifest;
  return { ...manifest, text: manifest.text.replace(PUBLIC_REGISTRY, `$1${registry}/`) };
}

/** Throws what the tool said, made readable, when it fails. */
type Run = (
  args: readonly string[],
  variables?: Readonly<Record<string, string>>,
  secrets?: readonly string[],
) => Promise<void>;

interface ForeignRun {
  readonly program: string;
  readonly project: string;
  readonly fileName: string;
  readonly tool: PinnedTool;
  readonly npmrc: FilteredNpmrc;
}

function runnerOf(
  { job, environment, node }: ForeignDeps,
  { program, project, fileName, tool, npmrc }: ForeignRun,
): Run {
  return async (args, variables = {}, secrets = []) => {
    const userConfig = join(job.scratch, "npmrc");
    const places = { npm_config_userconfig: userConfig, npm_config_globalconfig: join(job.scratch, "npmrc-global") };
    // Yarn 1 looks for it in the folder only.
    const projectConfig = join(project, ".npmrc");
    for (const path of [userConfig, projectConfig]) await writeFile(path, npmrc.text, { mode: 0o600 });
    let outcome: ToolOutcome;
    try {
      outcome = await job.run({
        ...{ name: tool.manager, command: [node, program], args, folder: project },
        environment: {
          ...PATIENCE,
          ...environment.variables,
          ...places,
          CI: "1",
          NO_COLOR: "1",
          ...tool.variables,
          ...variables,
        },
        secrets: [...environment.secrets, ...npmrc.secrets, ...secrets],
      });
    } finally {
      for (const path of [userConfig, projectConfig]) await rm(path, { force: true });
    }
    if (outcome.kind === "missing") throw new Error(`${node} is not there`);
    if (outcome.code !== 0) throw dependenciesFailed(explainFailure(tool.manager, fileName, outcome.lines));
  };
}

async function installWithPnpm(job: Job, run: Run, project: string, tool: PinnedTool): Promise<void> {
  const isOld = tool.version.startsWith("8.");
  const settings = pnpmSettings(await readYaml(job.source, "pnpm-workspace.yaml"));
  if (!isOld) await writeFile(join(project, "pnpm-workspace.yaml"), settings);
  const folder = join(job.cache, "pnpm");
  await run([
    ...["install", "--frozen-lockfile", "--prod", "--ignore-scripts", "--ignore-pnpmfile", "--reporter=append-only"],
    ...(isOld ? ["--ignore-workspace"] : []),
    `--store-dir=${join(folder, "store")}`,
    ...[`--config.cache-dir=${join(folder, "cache")}`, `--config.state-dir=${join(folder, "state")}`],
    // Symbolic links that lead through a store are nothing for a bundle; copies, so that no script changes the store.
    ...["--config.node-linker=hoisted", "--config.package-import-method=copy", "--config.extend-node-path=false"],
    ...["--config.manage-package-manager-versions=false", "--config.update-notifier=false"],
  ]);
}

async function installWithClassic({ job, environment }: ForeignDeps, run: Run): Promise<void> {
  await run([
    ...["install", "--frozen-lockfile", "--production", "--ignore-scripts", "--non-interactive", "--no-progress"],
    // What a package says of engines is for Node to find out, as with npm.
    ...["--ignore-engines", "--cache-folder", join(job.cache, "yarn-1"), "--network-timeout"],
    environment.variables.npm_config_fetch_timeout ?? PATIENCE.npm_config_fetch_timeout,
  ]);
}

async function installWithBerry(
  { job, environment }: ForeignDeps,
  run: Run,
  project: string,
  manifest: LockedManifest,
): Promise<void> {
  const settings = berrySettings(await readYaml(job.source, ".yarnrc.yml"), environment.variables);
  await writeFile(join(project, BERRY_SETTINGS_FILE), settings.text, { mode: 0o600 });
  const variables = berryEnvironment(join(job.cache, "yarn"));
  const { secrets } = settings;
  // First with all packages: only so can it be told whether lock file and package.json go together.
  await run(["install", "--immutable"], variables, secrets);
  await writePackageJson(project, manifest.packageJson, ["devDependencies"]);
  await rm(join(project, "node_modules"), { recursive: true, force: true });
  await run(["install", "--no-immutable"], variables, secrets);
}

async function readYaml(folder: string, fileName: string): Promise<unknown> {
  const text = await readText(folder, fileName);
  try {
    return text === undefined ? undefined : parse(text);
  } catch (error) {
    throw dependenciesFailed(`${fileName} is not YAML: ${(error as Error).message.split("\n")[0]}.`);
  }
}

async function moveInstalled(project: string, source: string): Promise<void> {
  const [from, to] = [join(project, "node_modules"), join(source, "node_modules")];
  if (!(await exists(from))) await mkdir(from);
  for (const name of await readdir(from))
    if (TRACES.test(name)) await rm(join(from, name), { recursive: true, force: true });
  await rm(to, { recursive: true, force: true });
  await rename(from, to);
}

/** Says what was removed. */
export async function removeYarnLeftovers(job: Job): Promise<void> {
  const removed: string[] = [];
  for (const name of YARN_LEFTOVERS) {
    const path = join(job.source, name);
    if (!(await exists(path))) continue;
    await rm(path, { recursive: true, force: true });
    removed.push(name);
  }
  if (removed.length > 0) job.onStep(`Left out ${removed.join(", ")}: packages are in node_modules`);
}
