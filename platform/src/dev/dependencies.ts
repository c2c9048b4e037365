import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import type { Ids } from "#base/ids.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import { isObject } from "#contract/shape.ts";
import { digestStream } from "#platform/builder/archive/digest.ts";
import { packFolder } from "#platform/builder/archive/pack.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { walkFolder } from "#platform/builder/archive/walk.ts";
import type { Builder } from "#platform/builder/builder.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { LaunchChange } from "./runtimes.ts";

/** Folder in a function's source that is ours; left out of deployments, and it tells git the same. */
export const DEV_FOLDER = ".colibri-dev";

export interface DependenciesDeps {
  readonly builder: Builder;
  readonly blobs: Blobs;
  readonly ids: Ids;
  /** One line for the user. */
  readonly note: (fn: string, text: string) => void;
}

export interface DependenciesOptions {
  /** For what is being unpacked. */
  readonly scratch: string;
  /** The Python that guests run on, if there is one. */
  readonly python: { readonly program: string; readonly version: string } | undefined;
  /** An active virtual environment, for functions that have none of their own. */
  readonly virtualEnv: string | undefined;
}

export interface DependenciesOf {
  readonly name: string;
  readonly source: string;
  readonly config: FunctionConfig;
}

const NODE_LOCKS = ["package-lock.json", "npm-shrinkwrap.json", "pnpm-lock.yaml", "yarn.lock"];
const PYTHON_LISTS = ["requirements.txt", "pyproject.toml", "pylock.toml", "uv.lock", "poetry.lock"];
const VIRTUAL_ENVS = [".venv", "venv"];
/** Beside packages that were installed by us: what they were installed for. */
const MARKER = ".colibri-dev.json";

/**
 * What a function's code needs beside itself: what its folder has already, else what a build would install.
 *
 * Owns: `node_modules` that it has installed itself, until somebody else installs there, and `.colibri-dev/packages-…` of Python.
 */
export function createDependencies(deps: DependenciesDeps, options: DependenciesOptions) {
  /** A build as for a deployment; returns the unpacked bundle. */
  async function build({ name, source, config }: DependenciesOf, signal: AbortSignal): Promise<string> {
    const walked = await walkFolder(source);
    if (walked.kind === "refused") throw new PlatformError("archive-unsafe", walked.message);
    const stream = digestStream(packFolder(source, walked.entries));
    // Code without its packages: small enough to be held.
    const bytes = Buffer.concat(await Array.fromAsync(stream));
    const digest = stream.digest();
    await deps.blobs.put(DEFAULT_TENANT, digest, Readable.from([bytes]), { maximumBytes: bytes.length });
    const built = await deps.builder.build(
      {
        ...{ tenant: DEFAULT_TENANT, source: digest, config },
        onStep: (text) => deps.note(name, text),
        onOutput: (text) => deps.note(name, `  ${text}`),
      },
      signal,
    );
    mkdirSync(options.scratch, { recursive: true });
    const folder = join(options.scratch, deps.ids.next());
    const archive = await deps.blobs.get(DEFAULT_TENANT, built.digest);
    const unpacked = archive === undefined ? undefined : await unpackArchive(archive, folder, { signal });
    if (unpacked?.kind !== "unpacked") throw new PlatformError("internal", "the packages could not be unpacked");
    return folder;
  }

  async function nodejs(fn: DependenciesOf, signal: AbortSignal): Promise<LaunchChange> {
    const packages = join(fn.source, "node_modules");
    const locks = digestOf(fn.source, ["package.json", ...NODE_LOCKS]);
    const present = existsSync(packages);
    if (!namesDependencies(fn.source) || (present && !isStale(packages, locks))) return {};
    const folder = await build(fn, signal);
    rmSync(packages, { recursive: true, force: true });
    move(join(folder, "node_modules"), packages);
    rmSync(folder, { recursive: true, force: true });
    if (existsSync(packages))
      writeFileSync(join(packages, MARKER), JSON.stringify({ locks, installed: installedBy(packages) }));
    deps.note(fn.name, `Installed the packages into ${packages}`);
    return {};
  }

  async function python(fn: DependenciesOf, signal: AbortSignal): Promise<LaunchChange> {
    if (existsSync(join(fn.source, "_packages"))) return {};
    const environment = await virtualEnvOf(fn);
    if (environment !== undefined) return { program: environment, without: ["-S"] };
    if (!PYTHON_LISTS.some((list) => existsSync(join(fn.source, list)))) return {};
    const key = digestOf(fn.source, PYTHON_LISTS, options.python?.version);
    const packages = join(ownFolder(fn.source), `packages-${key.slice(0, 16)}`);
    if (!existsSync(packages)) {
      const folder = await build(fn, signal);
      // A list may be empty, or not of those that are read.
      if (!existsSync(join(folder, "_packages"))) mkdirSync(join(folder, "_packages"));
      move(join(folder, "_packages"), packages);
      rmSync(folder, { recursive: true, force: true });
    }
    return { without: ["-E"], environment: { PYTHONPATH: packages } };
  }

  /** Its program, if guests can run on it: they are compiled for one version. */
  async function virtualEnvOf({ name, source }: DependenciesOf): Promise<string | undefined> {
    const folders = VIRTUAL_ENVS.map((folder) => join(source, folder)).filter((folder) =>
      existsSync(join(folder, "pyvenv.cfg")),
    );
    const folder = folders[0] ?? options.virtualEnv;
    if (folder === undefined || options.python === undefined) return undefined;
    const program = join(folder, "bin", "python");
    const version = await versionOf(program);
    if (minor(version) === minor(options.python.version)) return program;
    const { version: wanted } = options.python;
    deps.note(
      name,
      `${folder} is left out: it has Python ${version ?? "of no version that can be told"}, functions run on ${wanted}`,
    );
    return undefined;
  }

  /** By source: the last that looks what it needs. */
  const last = new Map<string, Promise<void>>();

  /** Functions may have the same source: the second one finds what the first has installed. */
  function oneByOne(find: typeof nodejs): typeof nodejs {
    return (fn, signal) => {
      const found = (last.get(fn.source) ?? Promise.resolve()).then(() => find(fn, signal));
      const settled = found
        .then(
          () => {},
          () => {},
        )
        .then(() => {
          if (last.get(fn.source) === settled) last.delete(fn.source);
        });
      last.set(fn.source, settled);
      return found;
    };
  }

  return { nodejs: oneByOne(nodejs), python: oneByOne(python) };
}
export type Dependencies = ReturnType<typeof createDependencies>;

/** Made when it is first needed, so that most sources never see it. */
export function ownFolder(source: string): string {
  const folder = join(source, DEV_FOLDER);
  if (!existsSync(join(folder, ".gitignore"))) {
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, ".gitignore"), "*\n");
  }
  return folder;
}

function namesDependencies(source: string): boolean {
  try {
    const manifest: unknown = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));
    if (!isObject(manifest)) return false;
    return [manifest.dependencies, manifest.optionalDependencies].some(
      (named) => isObject(named) && Object.keys(named).length > 0,
    );
  } catch {
    // Without one, or broken: then whoever loads the code says so.
    return false;
  }
}

/** Only what we installed ourselves, and nobody has installed into since, is ever replaced. */
function isStale(packages: string, locks: string): boolean {
  try {
    const marker = JSON.parse(readFileSync(join(packages, MARKER), "utf8"));
    return marker.installed === installedBy(packages) && marker.locks !== locks;
  } catch {
    return false;
  }
}

/** Changes with every installation by somebody. */
function installedBy(packages: string): string {
  return digestOf(packages, [".package-lock.json", ".modules.yaml", ".yarn-state.yml"]);
}

function digestOf(folder: string, names: readonly string[], more = ""): string {
  const hash = createHash("sha256").update(more);
  for (const name of names) {
    const path = join(folder, name);
    if (existsSync(path)) hash.update(`\0${name}\0`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** Over the border of a file system too. */
function move(from: string, to: string): void {
  if (!existsSync(from)) return;
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    const aside = `${to}.copying`;
    rmSync(aside, { recursive: true, force: true });
    cpSync(from, aside, { recursive: true, verbatimSymlinks: true });
    renameSync(aside, to);
  }
}

async function versionOf(program: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(program, ["-c", "import platform; print(platform.python_version())"]);
    return stdout.trim();
  } catch {
    return undefined;
  }
}

function minor(version: string | undefined): string {
  return version?.split(".").slice(0, 2).join(".") ?? "";
}
