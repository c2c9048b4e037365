import { execFile } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { basename } from "node:path";
import { promisify } from "node:util";
import { findProgram } from "#base/program.ts";
import type { SandboxCapabilities } from "#ports/sandbox/index.ts";

/** In the order of preference. */
export const OCI_RUNTIMES = ["crun", "runc", "runsc"] as const;
export type OciRuntimeName = (typeof OCI_RUNTIMES)[number];

/** A program that makes containers from a folder with a config.json. */
export interface OciRuntime {
  readonly name: OciRuntimeName;
  /** Absolute. */
  readonly path: string;
  /** As it says itself, such as `crun version 1.8.1`. */
  readonly version: string;
  /** What it can't show late it is sent as bytes: gVisor has a file system of its own. */
  readonly deliver: SandboxCapabilities["deliver"];
  /** Whether users in the sandbox are others on the host by a user namespace that we ask for. */
  readonly userNamespace: boolean;
  /** With whose /dev/null it covers a file of /proc: the host's, which a sandbox could lock then, or the sandbox's. */
  readonly masksWith: "host" | "sandbox";
}

const TELLS_MS = 5_000;

export interface NoOciRuntime {
  readonly why: string;
  readonly remedy: string;
}

/** What is `wanted`, a name or a path, or else the first there is. */
export async function findOciRuntime(
  wanted: string | undefined,
  searchPath: string,
): Promise<OciRuntime | NoOciRuntime> {
  for (const candidate of wanted === undefined ? OCI_RUNTIMES : [wanted]) {
    const name = nameOf(candidate);
    const path = candidate.includes("/") ? candidate : findProgram(candidate, searchPath);
    if (name === undefined || path === undefined) continue;
    const version = await versionOf(path);
    if (version === undefined) continue;
    const own = name === "runsc";
    const masksWith = name === "crun" ? "host" : "sandbox";
    return { name, path, version, deliver: own ? "bytes" : "mount", userNamespace: !own, masksWith };
  }
  if (wanted !== undefined) return unusable(wanted, searchPath);
  const why = `no OCI runtime was found: none of ${OCI_RUNTIMES.join(", ")} runs`;
  return { why, remedy: "apt-get install crun" };
}

function unusable(wanted: string, searchPath: string): NoOciRuntime {
  const there = OCI_RUNTIMES.filter((name) => findProgram(name, searchPath) !== undefined);
  const choices = `it takes ${OCI_RUNTIMES.join(", ")}, or a path to one`;
  const found = there.length > 0 ? ` (${there.join(", ")} ${there.length > 1 ? "are" : "is"} installed here)` : "";
  const name = wanted.includes("/") ? undefined : nameOf(wanted);
  const install = name === undefined || name === "runsc" ? "" : ` To have ${wanted}: apt-get install ${name}`;
  const why = `COLIBRI_OCI_RUNTIME=${wanted} ${whyUnusable(wanted, searchPath)}`;
  return { why, remedy: `Correct it, or leave it out: ${choices}${found}.${install}` };
}

function whyUnusable(wanted: string, searchPath: string): string {
  const isPath = wanted.includes("/");
  const stat = isPath ? statSync(wanted, { throwIfNoEntry: false }) : undefined;
  if (isPath && stat === undefined) return "is not there";
  if (stat?.isDirectory()) return "is a folder, not a program";
  if (isPath && !isExecutable(wanted)) return "is no program that can be run";
  if (nameOf(wanted) === undefined)
    return isPath ? "is no OCI runtime that is known here" : "is no name of an OCI runtime";
  if (!isPath && findProgram(wanted, searchPath) === undefined) return "is not installed: it is nowhere in PATH";
  return "does not answer --version";
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export interface RunOptions {
  readonly id: string;
  /** Folder of config.json. */
  readonly bundle: string;
  readonly pidFile: string;
  /** Folder of what the runtime keeps of its containers. */
  readonly state: string;
  /** Of the network namespace it is to be in; undefined for one of nothing. */
  readonly networkPath: string | undefined;
}

/** The command that starts a container and ends, leaving its first process behind, with that one's pid in `pidFile`. */
export function runCommand(runtime: OciRuntime, { id, bundle, pidFile, state, networkPath }: RunOptions): string[] {
  const run = ["run", "--detach", "--bundle", bundle, "--pid-file", pidFile, id];
  switch (runtime.name) {
    case "crun":
      return [runtime.path, `--root=${state}`, "--cgroup-manager=disabled", ...run];
    case "runc":
      return [runtime.path, `--root=${state}`, ...run];
    case "runsc":
      // It keeps more than a folder by the name of the container.
      return [...gvisor(runtime.path, networkPath), `--root=${state}/${id}`, ...GVISOR_FLAGS, ...run];
  }
}

/** Sandboxes have our cgroups; they may listen on a socket of the host's. */
const GVISOR_FLAGS = ["--ignore-cgroups", "--host-uds=create"];

/**
 * Its own network stack is for namespaces that are not the machine's first, which releases of 2022 can't tell on later kernels. So it is
 * started in the namespace and uses the kernel's stack there, held by the same rules as every sandbox.
 */
function gvisor(path: string, networkPath: string | undefined): string[] {
  return networkPath === undefined
    ? [path, "--network=none"]
    : ["nsenter", `--net=${networkPath}`, path, "--network=host"];
}

function nameOf(wanted: string): OciRuntimeName | undefined {
  return OCI_RUNTIMES.find((name) => basename(wanted).startsWith(name));
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)(path, ["--version"], { timeout: TELLS_MS });
    return stdout.split("\n")[0]?.trim();
  } catch {
    return undefined;
  }
}
