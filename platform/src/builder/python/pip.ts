import { createHash } from "node:crypto";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { exists } from "../exists.ts";
import { dependenciesFailed } from "../failure.ts";
import type { InstalledCache } from "../installed-cache.ts";
import type { Job, ToolOutcome } from "../job.ts";
import type { ToolEnvironment } from "../tool-environment.ts";
import { createPipNoise, explainPip } from "./explain.ts";
import type { Requirements } from "./requirements.ts";
import { findPythonDependencies } from "./sources.ts";

export interface PipOptions {
  /** The Python that functions run on. */
  readonly python: readonly string[];
  /** With its platform. */
  readonly pythonVersion: string;
}

/** In a bundle; the guest puts it on sys.path. */
const PACKAGES = "_packages";
const GUARDED_PIP = fileURLToPath(new URL("./guarded_pip.py", import.meta.url));
const PLAIN = ["--no-input", "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar", "off"];

/** Fills _packages as the function's files say, from wheels only: building a package from source runs its code. */
export async function installPythonPackages(
  job: Job,
  environment: ToolEnvironment,
  cache: InstalledCache,
  options: PipOptions,
): Promise<void> {
  const found = await findPythonDependencies(job, environment, options.python);
  if (found === undefined || found.requirements.lines.length === 0) return;
  const { fileName, requirements } = found;
  const target = join(job.source, PACKAGES);
  if (await exists(target))
    throw dependenciesFailed(`The folder ${PACKAGES} is where packages are installed: remove it, or ${fileName}.`);
  const { installScripts } = job.config.build;
  // What is built from source sees nothing of the function: the same names build the same packages.
  const key = requirements.isHashed ? keyOf(requirements, installScripts, options) : undefined;
  if (key !== undefined && (await cache.take(job.cache, key, target)))
    return job.onStep(`Took the packages of ${fileName} from the cache`);
  job.onStep(`Installing the packages of ${fileName}`);
  if (fileName === "pyproject.toml")
    job.onStep('pyproject.toml names no exact versions, so another build may install others: "uv lock" fixes them');
  const outcome = await runPip(job, environment, requirements, { ...options, target });
  const failure = explainPip(outcome, fileName, installScripts);
  if (failure !== undefined) throw dependenciesFailed(failure);
  if (key !== undefined) await cache.keep(job.cache, key, target);
}

function keyOf(
  { lines, constraints }: Requirements,
  installScripts: readonly string[],
  { pythonVersion }: PipOptions,
): string {
  const parts = [pythonVersion, lines, constraints, installScripts.toSorted()];
  return `python-${createHash("sha256").update(JSON.stringify(parts)).digest("hex")}`;
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
      ...[
        "-B",
        GUARDED_PIP,
        config.build.installScripts.join(","),
        "install",
        "--target",
        target,
        "--only-binary=:all:",
        ...fromSource,
        ...PLAIN,
      ],
      // Compiled files carry times: the same packages would not be the same bundle.
      ...["--no-compile", "--cache-dir", pipCache, "-r", join(folder, "lines"), "-c", join(folder, "constraints")],
      ...(isHashed ? ["--require-hashes"] : []),
    ],
    folder,
    environment: { ...environment.variables, PYTHONDONTWRITEBYTECODE: "1", PYTHONNOUSERSITE: "1" },
    secrets: environment.secrets,
    isNoise: createPipNoise(),
  });
  await rm(folder, { recursive: true });
  return outcome;
}
