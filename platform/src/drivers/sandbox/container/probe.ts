import { readFileSync } from "node:fs";
import { release } from "node:os";
import type { Probe } from "#ports/sandbox/index.ts";
import { inspectCgroups } from "./cgroups/inspect.ts";
import { inspectNetwork, type NetworkLack } from "./network/inspect.ts";
import { findOciRuntime, type OciRuntime } from "./oci-runtime.ts";

export type ContainerProbe =
  | (Extract<Probe, { works: true }> & {
      readonly runtime: OciRuntime;
      /** What may keep sandboxes from the internet. */
      readonly doubts: readonly NetworkLack[];
    })
  | Extract<Probe, { works: false }>;

/** `crun version 1.8.1` as people say it. */
function shortVersion(version: string): string {
  return version.replace(/ version /, " ");
}

const OLDEST_LINUX = [5, 10] as const;

/** Whether containers work on this machine: who we are, the kernel, the OCI runtime, cgroups. Starts nothing. */
export async function probeContainers(options: {
  readonly wanted: string | undefined;
  readonly searchPath: string;
  /** Where `ip` and `nft` are. Default: where systems have them. */
  readonly toolFolders?: readonly string[];
}): Promise<ContainerProbe> {
  if (process.platform !== "linux") return no("this is not Linux", "Run the platform on Linux.");
  if (isOlder(release(), OLDEST_LINUX))
    return no(`this is Linux ${release()}, which can't mount without symbolic links`, "Run it on Linux 5.10 or newer.");
  if (process.getuid?.() !== 0)
    return no("it needs root, and this is another user", "Start it as root, such as with sudo.");
  const users = userNamespaces();
  if (users === 0)
    return no("user namespaces are switched off", "Set the sysctl user.max_user_namespaces to 15000 or more.");
  const runtime = await findOciRuntime(options.wanted, options.searchPath);
  if ("why" in runtime) return no(runtime.why, runtime.remedy);
  const cgroups = inspectCgroups();
  if (cgroups.kind === "unusable") return no(cgroups.reason, cgroups.remedy);
  const lacks = await inspectNetwork(options.toolFolders && { searchPath: options.toolFolders });
  const lack = lacks.find(({ kind }) => kind === "missing");
  if (lack !== undefined) return no(`${lack.what} is missing`, lack.remedy);
  return {
    works: true,
    detail: `${shortVersion(runtime.version)}, cgroups ${cgroups.version}`,
    runtime,
    doubts: lacks,
  };
}

function no(reason: string, remedy: string): Extract<Probe, { works: false }> {
  return { works: false, reason, remedy };
}

function isOlder(version: string, [major, minor]: readonly [number, number]): boolean {
  const [itsMajor = 0, itsMinor = 0] = version.split(".").map(Number);
  return itsMajor < major || (itsMajor === major && itsMinor < minor);
}

/** How many there may be; undefined where the kernel does not say. */
function userNamespaces(): number | undefined {
  try {
    return Number(readFileSync("/proc/sys/user/max_user_namespaces", "utf8"));
  } catch {
    return undefined;
  }
}
