import { createHash } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job, ToolOutcome } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { type Lock, readManifest } from "./lock-file.ts";
import { type FilteredNpmrc, filterNpmrc } from "./npmrc.ts";

export interface NpmOptions {
  readonly npm: readonly string[];
  /** Version and platform of the Node that will load what is installed. */
  readonly nodeVersion: string;
}

/** npm's own are 10 s and 60 s: somebody waits for the answer. */
const RETRIES = { npm_config_fetch_retry_mintimeout: "1000", npm_config_fetch_retry_maxtimeout: "5000" };
const MAXIMUM_NPMRC_BYTES = 65_536;
const QUIET = ["--no-audit", "--no-fund", "--no-progress", "--no-update-notifier", "--loglevel=warn"];

/** Fills node_modules as the lock file says. Install scripts run only for the packages that the configuration names. */
export async function installNodePackages(
  job: Job,
  environment: ToolEnvironment,
  cache: InstalledCache,
  options: NpmOptions,
): Promise<void> {
  const npmrc = await takeNpmrc(job);
  const manifest = await readManifest(job.source);
  if (manifest.kind === "none") return;
  if (manifest.kind === "unlocked") throw unlocked(manifest.dependencies, manifest.otherLock);
  const { lock, files } = manifest;
  const install = new NpmInstall(job, environment, npmrc, options);
  // With scripts, what is installed depends on more than the lock file.
  const isReusable = !lock.hasLocalPackages && job.config.build.installScripts.length === 0;
  const key = isReusable ? await cacheKey(job, [options.nodeVersion, npmrc.text], files) : undefined;
  const folder = join(job.source, "node_modules");
  if (key !== undefined && (await cache.take(job.cache, key, folder))) {
    job.onStep(`Took the packages of ${lock.fileName} from the cache`);
  } else {
    await install.clean(lock);
    if (key !== undefined) await cache.keep(job.cache, key, folder);
  }
  await install.scripts(lock);
}

function unlocked(dependencies: readonly string[], otherLock: string | undefined) {
  const names = dependencies.slice(0, 5).join(", ");
  const other = otherLock === undefined ? "" : ` (${otherLock} is not read)`;
  return dependenciesFailed(
    `package.json names dependencies (${names}), but there is no package-lock.json${other}: run "npm install" in the function's folder and deploy the lock file with it.`,
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

async function cacheKey(job: Job, parts: readonly string[], files: readonly string[]): Promise<string> {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(`${part.length}:${part}`);
  for (const file of files) hash.update(await readFile(join(job.source, file))).update("\0");
  return `node-${hash.digest("hex")}`;
}

class NpmInstall {
  readonly #job: Job;
  readonly #environment: ToolEnvironment;
  readonly #npmrc: FilteredNpmrc;
  readonly #options: NpmOptions;

  constructor(job: Job, environment: ToolEnvironment, npmrc: FilteredNpmrc, options: NpmOptions) {
    this.#job = job;
    this.#environment = environment;
    this.#npmrc = npmrc;
    this.#options = options;
  }

  async clean(lock: Lock): Promise<void> {
    this.#job.onStep(`Installing the packages of ${lock.fileName}`);
    const outcome = await this.#npm(["ci", "--omit=dev", "--ignore-scripts"], this.#npmrc.text);
    const failure = outcome.kind === "missing" ? missing() : explain(outcome, lock.fileName);
    if (failure !== undefined) throw dependenciesFailed(failure);
  }

  async scripts(lock: Lock): Promise<void> {
    const { installScripts } = this.#job.config.build;
    const present = await Promise.all(lock.withScripts.map(({ folder }) => isFolder(join(this.#job.source, folder))));
    const wanting = new Set(lock.withScripts.filter((_, index) => present[index]).map(({ name }) => name));
    const skipped = [...wanting].filter((name) => !installScripts.includes(name));
    if (skipped.length > 0)
      this.#job.onStep(
        `Skipped the install scripts of ${skipped.join(", ")}: name them in build.installScripts if the function needs them`,
      );
    const allowed = installScripts.filter((name) => wanting.has(name));
    if (allowed.length === 0) return;
    this.#job.onStep(`Running the install scripts of ${allowed.join(", ")}`);
    // Without the function's .npmrc: the scripts shall not find tokens. Newer npm wants to be told there whose scripts may run.
    const outcome = await this.#npm(
      ["rebuild", "--foreground-scripts", ...allowed],
      `allow-scripts=${allowed.join(",")}
`,
    );
    if (outcome.kind === "missing") throw dependenciesFailed(missing());
    if (outcome.code !== 0)
      throw dependenciesFailed(`An install script of ${allowed.join(", ")} failed: ${complaintsOf(outcome.lines)}`);
  }

  async #npm(args: readonly string[], npmrc: string): Promise<ToolOutcome> {
    const { source, scratch, cache, run } = this.#job;
    const npmCache = join(cache, "npm");
    const userConfig = join(scratch, "npmrc");
    const globalConfig = join(scratch, "npmrc-global");
    await mkdir(npmCache, { recursive: true });
    await writeFile(userConfig, npmrc, { mode: 0o600 });
    const places = [`--cache=${npmCache}`, `--userconfig=${userConfig}`, `--globalconfig=${globalConfig}`];
    try {
      return await run({
        name: "npm",
        command: this.#options.npm,
        args: [...args, ...QUIET, ...places],
        folder: source,
        environment: { ...RETRIES, ...this.#environment.variables, npm_config_logs_max: "0" },
        secrets: [...this.#environment.secrets, ...this.#npmrc.secrets],
      });
    } finally {
      await rm(userConfig, { force: true });
    }
  }
}

function missing(): string {
  return "npm is not installed on the host of the platform: packages can't be installed until it is.";
}

/** What npm said, made readable; undefined when it succeeded. */
function explain({ code, lines }: Extract<ToolOutcome, { kind: "exited" }>, lockFile: string): string | undefined {
  if (code === 0) return undefined;
  const text = lines.join("\n");
  const again = 'run "npm install" in the function\'s folder and deploy again';
  const errorCode = /npm (?:error|ERR!) code (\w+)/.exec(text)?.[1];
  switch (errorCode) {
    case "EUSAGE": {
      const differences = [...text.matchAll(/npm (?:error|ERR!) ((?:Missing|Invalid): .*)/g)].map(([, what]) => what);
      if (differences.length === 0) break;
      return `${lockFile} does not match package.json (${differences.slice(0, 5).join("; ")}): ${again}.`;
    }
    case "E404":
    case "ETARGET":
      return `A package of ${lockFile} is not in the registry: ${complaintsOf(lines)}`;
    case "EINTEGRITY":
      return `A package is not what ${lockFile} says it is; if that is meant so, ${again}: ${complaintsOf(lines)}`;
    case "ENOTFOUND":
    case "ECONNREFUSED":
    case "ECONNRESET":
    case "ETIMEDOUT":
    case "EAI_AGAIN":
      return `The package registry can't be reached from the platform's host (${errorCode}): check its network, or npm_config_registry. ${complaintsOf(lines)}`;
  }
  return `npm failed: ${complaintsOf(lines)}`;
}

/** The lines with which npm complains, without its frame. */
function complaintsOf(lines: readonly string[]): string {
  const complaints = lines
    .map((line) => /^npm (?:error|ERR!) (.*)/.exec(line)?.[1]?.trim() ?? "")
    .filter(
      (line) =>
        line !== "" &&
        !/^(?:A complete log|Log files were not|code \w+$|errno |404\s*$|404 (?:Note|tarball))|For a full report/.test(
          line,
        ),
    );
  const told = complaints.length > 0 ? complaints : lines.slice(-5);
  return told.slice(0, 6).join("; ").slice(0, 1_500) || "it said nothing";
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}
