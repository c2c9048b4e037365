import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { exists } from "../exists.ts";
import { dependenciesFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import { complaintsOf } from "./explain.ts";
import type { Npm } from "./npm.ts";

const SCRIPTS = ["preinstall", "install", "postinstall"];

/** Runs the install scripts of the packages that the configuration names, whoever installed them, and says whose were skipped. */
export async function runInstallScripts(job: Job, npm: Npm): Promise<void> {
  const { installScripts } = job.config.build;
  const wanting = [...new Set(await packagesWithScripts(join(job.source, "node_modules")))].sort();
  const skipped = wanting.filter((name) => !installScripts.includes(name));
  if (skipped.length > 0)
    job.onStep(
      `Skipped the install scripts of ${skipped.join(", ")}: name them in build.installScripts if the function needs them`,
    );
  const allowed = installScripts.filter((name) => wanting.includes(name));
  // One after the other, so that a failure is that of one package.
  for (const name of allowed) await runScriptsOf(job, npm, name);
}

async function runScriptsOf(job: Job, npm: Npm, name: string): Promise<void> {
  job.onStep(`Running the install scripts of ${name}`);
  // Without the function's .npmrc: the scripts shall not find tokens. Newer npm wants to be told there whose scripts may run.
  const { code, lines } = await npm.run(["rebuild", "--foreground-scripts", name], {
    folder: job.source,
    npmrc: `allow-scripts=${name}\n`,
  });
  if (code === 0) return;
  throw dependenciesFailed(
    `An install script of ${name} failed: ${complaintsOf(lines)}\n${wayOut(name, lines)}\nIts last lines:\n${lastLines(lines)}`,
  );
}

const MISSING_TOOL =
  /(?:^|\s)(?:sh: \d+: |\/bin\/sh: |bash: )?(make|gcc|g\+\+|cc|cmake|python3?|pkg-config|git|node-gyp|node-pre-gyp|prebuild-install)?:? (?:command )?not found|not found: (make|gcc|g\+\+|cc|cmake)|Could not find any (Python) installation|error: (make) ENOENT/;

/** What its author can do about a native module that was not built. */
function wayOut(name: string, lines: readonly string[]): string {
  const tool = MISSING_TOOL.exec(lines.join("\n"))?.slice(1).find(Boolean);
  const without = `if the function works without it, leave ${name} out of build.installScripts`;
  if (tool !== undefined)
    return `${tool} is not installed on the host of the platform: it takes a compiler there (on Debian: apt-get install build-essential python3), or a version of ${name} that brings binaries; ${without}.`;
  return `Choose a version of ${name} that brings binaries for this platform, or mend what it needs; ${without}.`;
}

function lastLines(lines: readonly string[]): string {
  const told = lines.filter((line) => !/^npm (?:error|ERR!|warn|WARN)/.test(line) && line.trim() !== "");
  return told
    .slice(-10)
    .map((line) => `  ${line.slice(0, 300)}`)
    .join("\n");
}

/** Names of packages that want to run something when they are installed, those below others included. */
async function packagesWithScripts(modules: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of await packageFolders(modules)) {
    const name = await nameWithScripts(folder);
    if (name !== undefined) found.push(name);
    found.push(...(await packagesWithScripts(join(folder, "node_modules"))));
  }
  return found;
}

async function packageFolders(modules: string): Promise<string[]> {
  const folders: string[] = [];
  for (const entry of await readdir(modules, { withFileTypes: true }).catch(() => [])) {
    if (!entry.isDirectory() || entry.name.startsWith(".")) continue;
    const path = join(modules, entry.name);
    if (entry.name.startsWith("@")) folders.push(...(await packageFolders(path)));
    else folders.push(path);
  }
  return folders;
}

async function nameWithScripts(folder: string): Promise<string | undefined> {
  const manifest: unknown = await readFile(join(folder, "package.json"), "utf8")
    .then(JSON.parse)
    .catch(() => undefined);
  const { name, scripts, gypfile } = (manifest ?? {}) as { name?: unknown; scripts?: object; gypfile?: unknown };
  if (typeof name !== "string") return undefined;
  if (SCRIPTS.some((script) => Object.hasOwn(scripts ?? {}, script))) return name;
  // npm builds such a package without being told to.
  const hasGyp = gypfile !== false && (await exists(join(folder, "binding.gyp")));
  return hasGyp ? name : undefined;
}
