/** Which sandboxes there are on this machine, and which of them is used. Loads no driver: the supervisor and doctor ask as well. */
import { PlatformError } from "#contract/errors.ts";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import type { Config, SandboxChoice, SandboxTechnology } from "./config.ts";

export { probeContainers };

/** What separates functions of each technology from the machine and from each other. */
export const ISOLATION = Object.freeze({ process: "none", container: "container" });
type Asked = Pick<Config, "sandbox" | "ociRuntime" | "rootFolders">;

/** The best that works here, or what was asked for. @throws PlatformError when that can't be had: never something weaker. */
export async function chooseSandbox(asked: Asked, searchPath: string): Promise<SandboxTechnology> {
  const { sandbox, ociRuntime, rootFolders } = asked;
  if (sandbox === "process") return sandbox;
  if (sandbox === "microvm") throw cannot(sandbox, "microVMs are not part of this version", "Use container, or auto.");
  const probe = await probeContainers({ wanted: ociRuntime, searchPath });
  if (probe.works) return "container";
  // Whoever named a runtime or an image does not want to do without.
  if (sandbox === "auto" && ociRuntime === undefined && Object.keys(rootFolders).length === 0) return "process";
  throw cannot(sandbox, probe.reason, probe.remedy);
}

export function cannot(choice: SandboxChoice, reason: string, remedy: string): PlatformError {
  return new PlatformError("unavailable", `COLIBRI_SANDBOX=${choice} can't be had here: ${reason}. ${remedy}`);
}

/** In words: what is in force, and how to have more. */
export async function describeIsolation(technology: SandboxTechnology, wanted: string | undefined, searchPath: string) {
  const probe = await probeContainers({ wanted, searchPath });
  if (technology === "container") return `container: ${probe.works ? probe.detail : probe.reason}`;
  const summary = "process: plain processes, no isolation: for code you trust";
  return probe.works ? summary : `${summary}. Containers: ${probe.reason}. ${probe.remedy}`;
}
