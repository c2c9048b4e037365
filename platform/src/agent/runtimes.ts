import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
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

const OLDEST_PYTHON = [3, 9] as const;
const PYTHON_ANSWERS_MS = 10_000;
const PYTHON_TELLS = "import sys; print(sys.executable); print('%d.%d.%d' % sys.version_info[:3])";

/** Looks once, when the agent opens. Python is optional: without a fitting one it is not in the list. */
export async function findRuntimes(options: RuntimesOptions): Promise<Runtimes> {
  const { guests, node } = options;
  const found: FoundRuntime[] = [
    {
      name: "nodejs",
      version: node.version,
      command: [node.path, "--max-old-space-size={memoryMiB}", "--max-semi-space-size=8", guests.nodejs],
      environment: {},
    },
  ];
  const python = guests.python === undefined ? undefined : await findPython(options.searchPath);
  if (python !== undefined && guests.python !== undefined) {
    // Nothing of the host but its standard library: no PYTHON… variables, no packages of the user's, none of the system's.
    const command = [python.path, "-E", "-s", "-S", guests.python];
    found.push({ name: "python", version: python.version, command, environment: {} });
  }
  return createRuntimes(found);
}

export function createRuntimes(found: readonly FoundRuntime[]): Runtimes {
  return { get: (name) => found.find((runtime) => runtime.name === name), list: () => found };
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
async function findPython(searchPath: string): Promise<{ path: string; version: string } | undefined> {
  const path = findProgram("python3", searchPath);
  if (path === undefined) return undefined;
  try {
    const { stdout } = await promisify(execFile)(path, ["-c", PYTHON_TELLS], { timeout: PYTHON_ANSWERS_MS });
    const [executable = "", version = ""] = stdout.trim().split("\n");
    return executable !== "" && isNewEnough(version) ? { path: executable, version } : undefined;
  } catch {
    return undefined;
  }
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > OLDEST_PYTHON[0] || (major === OLDEST_PYTHON[0] && minor >= OLDEST_PYTHON[1]);
}
