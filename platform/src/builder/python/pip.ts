import { createHash } from "node:crypto";
import { mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job, ToolOutcome } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { type Requirements, readRequirements } from "./requirements.ts";

export interface PipOptions {
  /** The Python that functions run on. */
  readonly python: readonly string[];
  readonly pythonVersion: string;
}

const REQUIREMENTS = "requirements.txt";
/** In a bundle; the guest puts it on sys.path. */
const PACKAGES = "_packages";
const UNREACHABLE =
  /Failed to establish a new connection: [^'")]+|Name or service not known|Connection refused|Temporary failure in name resolution/g;
const NOT_READ = ["pyproject.toml", "Pipfile", "poetry.lock", "uv.lock", "setup.py"];
const QUIET = [
  "--no-input",
  "--disable-pip-version-check",
  "--no-warn-script-location",
  "--progress-bar",
  "off",
  "--quiet",
];

/** Fills _packages as requirements.txt says, from wheels only: building a package from source runs its code. */
export async function installPythonPackages(
  job: Job,
  environment: ToolEnvironment,
  cache: InstalledCache,
  options: PipOptions,
): Promise<void> {
  if (!(await exists(join(job.source, REQUIREMENTS)))) return mentionOthers(job);
  const requirements = await readRequirements(job.source, REQUIREMENTS);
  if (requirements.lines.length === 0) return;
  const target = join(job.source, PACKAGES);
  if (await exists(target))
    throw dependenciesFailed(`The folder ${PACKAGES} is where packages are installed: remove it, or ${REQUIREMENTS}.`);
  const { installScripts } = job.config.build;
  const isReusable = requirements.isHashed && installScripts.length === 0;
  const key = isReusable ? keyOf(requirements, options) : undefined;
  if (key !== undefined && (await cache.take(job.cache, key, target)))
    return job.onStep(`Took the packages of ${REQUIREMENTS} from the cache`);
  job.onStep(`Installing the packages of ${REQUIREMENTS}`);
  const outcome = await runPip(job, environment, requirements, { ...options, target });
  const failure = explain(outcome, installScripts);
  if (failure !== undefined) throw dependenciesFailed(failure);
  if (key !== undefined) await cache.keep(job.cache, key, target);
}

async function mentionOthers(job: Job): Promise<void> {
  const found = await Promise.all(NOT_READ.map((name) => exists(join(job.source, name))));
  const name = NOT_READ[found.indexOf(true)];
  if (name !== undefined) job.onStep(`${name} is not read: dependencies are installed from ${REQUIREMENTS}`);
}

function keyOf({ lines, constraints }: Requirements, { pythonVersion }: PipOptions): string {
  const hash = createHash("sha256").update(JSON.stringify([pythonVersion, lines, constraints]));
  return `python-${hash.digest("hex")}`;
}

async function runPip(
  job: Job,
  environment: ToolEnvironment,
  { lines, constraints, isHashed }: Requirements,
  { python, target }: PipOptions & { target: string },
): Promise<ToolOutcome> {
  const { scratch, cache, run, config } = job;
  const pipCache = join(cache, "pip");
  // An empty working directory: whatever pip looks for beside itself is not there.
  const folder = join(scratch, "pip");
  await mkdir(pipCache, { recursive: true });
  await mkdir(folder);
  await writeFile(join(folder, "lines"), `${lines.join("\n")}\n`);
  await writeFile(join(folder, "constraints"), `${constraints.join("\n")}\n`);
  const fromSource = config.build.installScripts.map((name) => `--no-binary=${name}`);
  const outcome = await run({
    name: "pip",
    command: python,
    args: [
      ...["-m", "pip", "install", "--target", target, "--only-binary=:all:", ...fromSource, ...QUIET],
      // Compiled files carry times: the same packages would not be the same bundle.
      ...["--no-compile", "--cache-dir", pipCache, "-r", join(folder, "lines"), "-c", join(folder, "constraints")],
      ...(isHashed ? ["--require-hashes"] : []),
    ],
    folder,
    environment: { ...environment.variables, PYTHONDONTWRITEBYTECODE: "1", PYTHONNOUSERSITE: "1" },
    secrets: environment.secrets,
  });
  await rm(folder, { recursive: true });
  return outcome;
}

/** What pip said, made readable; undefined when it succeeded. */
function explain(outcome: ToolOutcome, installScripts: readonly string[]): string | undefined {
  if (outcome.kind === "missing") return "Python 3 is not installed on the host of the platform.";
  if (outcome.code === 0) return undefined;
  const text = outcome.lines.join("\n");
  if (/No module named pip\b/.test(text))
    return "pip is not installed on the host of the platform: packages can't be installed until it is (on Debian: apt-get install python3-pip).";
  // The last try's: pip tells each of them at length, and then that it found nothing.
  const unreachable = [...text.matchAll(UNREACHABLE)].at(-1)?.[0];
  if (unreachable !== undefined)
    return `The package index can't be reached from the platform's host: ${unreachable}. Packages can be installed once it can: check the host's network, and PIP_INDEX_URL if it has an index of its own.`;
  const missing = /No matching distribution found for (\S+)/.exec(text)?.[1];
  if (missing !== undefined) return noWheel(missing, installScripts);
  if (/THESE PACKAGES DO NOT MATCH THE HASHES/.test(text))
    return `A package does not have the hash that ${REQUIREMENTS} gives it: ${complaintsOf(outcome.lines)}`;
  return `pip failed: ${complaintsOf(outcome.lines)}`;
}

function noWheel(requirement: string, installScripts: readonly string[]): string {
  const name = /^[A-Za-z0-9._-]+/.exec(requirement)?.[0] ?? requirement;
  const check = "check its name and version";
  if (installScripts.includes(name)) return `There is no ${requirement} in the package index: ${check}.`;
  return `There is no wheel of ${requirement} for the Python of this platform: ${check}. If it comes as source only, "build: { installScripts: [${name}] }" allows building it, which runs its code.`;
}

function complaintsOf(lines: readonly string[]): string {
  const errors = lines.filter((line) => /^\s*(?:ERROR|error)/.test(line));
  const told = errors.length > 0 ? errors.slice(-5) : lines.slice(-5);
  return (
    told
      .map((line) => line.trim())
      .join("; ")
      .slice(0, 1_500) || "it said nothing"
  );
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
