import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { findProgram } from "#base/program.ts";
import type { RuntimeLaunch } from "#ports/sandbox/index.ts";

/** The runtimes of this host. */
export interface Runtimes {
  get(name: string): RuntimeLaunch | undefined;
  list(): readonly FoundRuntime[];
}

export interface FoundRuntime extends RuntimeLaunch {
  /** Of the language, such as 24.21.0. */
  readonly version: string;
}

export interface RuntimesOptions {
  /** The bundled guests, one file each. */
  readonly guests: { readonly nodejs: string; readonly python: string | undefined };
  /** The Node that runs guests, and its version. */
  readonly node: { readonly path: string; readonly version: string };
  /** Folders in which Python is looked for, as in PATH. */
  readonly searchPath: string;
}

/** In a sandbox that has a root of its own. */
const INSIDE = "/opt/colibri";
const OLDEST_PYTHON = [3, 9] as const;
const PYTHON_ANSWERS_MS = 10_000;
const PYTHON_TELLS = `import os, sys, sysconfig as c
print(os.path.realpath(sys.executable))
print('%d.%d.%d' % sys.version_info[:3])
print(c.get_path('stdlib'))
print(c.get_path('platstdlib'))
print(os.path.join(c.get_config_var('LIBDIR') or '', c.get_config_var('INSTSONAME') or ''))`;

/** Looks once, when the agent opens. Python is optional: without a fitting one it is not in the list. */
export async function findRuntimes(options: RuntimesOptions): Promise<Runtimes> {
  const { guests, node } = options;
  const found: FoundRuntime[] = [
    {
      name: "nodejs",
      version: node.version,
      command: [node.path, "--max-old-space-size={memoryMiB}", "--max-semi-space-size=8", guests.nodejs],
      environment: {},
      files: { shows: { [node.path]: `${INSIDE}/node`, [guests.nodejs]: `${INSIDE}/guest.mjs` }, hides: [] },
    },
  ];
  const python = guests.python === undefined ? undefined : await findPython(options.searchPath);
  if (python !== undefined && guests.python !== undefined) {
    const { path, version, library } = python;
    // Nothing of the host but its standard library: no PYTHON… variables, no packages of the user's, none of the system's.
    const command = [path, "-E", "-s", "-S", guests.python];
    const hides = library.flatMap((folder) => [`${folder}/site-packages`, `${folder}/dist-packages`]);
    // Where it is on the host as well: it knows its libraries by their paths.
    const shows = Object.fromEntries([path, ...library].map((file) => [file, file]));
    const files = { shows: { ...shows, [guests.python]: `${INSIDE}/guest.pyz` }, hides };
    found.push({ name: "python", version, command, environment: {}, files });
  }
  return createRuntimes(found);
}

export function createRuntimes(found: readonly FoundRuntime[]): Runtimes {
  return { get: (name) => found.find((runtime) => runtime.name === name), list: () => found };
}

interface FoundPython {
  readonly path: string;
  readonly version: string;
  /** Files and folders of its standard library. */
  readonly library: readonly string[];
}

/**
 * Tells whether a guest that was started earlier is the one that would be started now: its file has its sources' digest in its
 * name, so that the command says all.
 */
export function fingerprintOf(launch: RuntimeLaunch): string {
  return createHash("sha256").update(JSON.stringify(launch)).digest("hex");
}

/**
 * The first python3 of the path, if it is new enough: the one that the guest was compiled for. By its real location, since a
 * shim would not work in a guest's bare environment.
 */
async function findPython(searchPath: string): Promise<FoundPython | undefined> {
  const path = findProgram("python3", searchPath);
  if (path === undefined) return undefined;
  try {
    const { stdout } = await promisify(execFile)(path, ["-c", PYTHON_TELLS], { timeout: PYTHON_ANSWERS_MS });
    const [executable = "", version = "", ...library] = stdout.trim().split("\n");
    if (executable === "" || !isNewEnough(version)) return undefined;
    return {
      path: executable,
      version,
      library: [...new Set(library.filter((path) => path !== "" && existsSync(path)))],
    };
  } catch {
    return undefined;
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
}
