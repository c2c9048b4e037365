/** Which sandboxes there are on this machine, and which of them is used. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { PlatformError } from "#contract/errors.ts";
import { createContainerDriver } from "#drivers/sandbox/container/driver.ts";
import { createSandboxNetworks } from "#drivers/sandbox/container/network/networks.ts";
import { findOciRuntime } from "#drivers/sandbox/container/oci-runtime.ts";
import { SANDBOX_PLACE } from "#drivers/sandbox/container/own-mounts.ts";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import type { SandboxDriver } from "#ports/sandbox/index.ts";
import type { Config, SandboxChoice, SandboxTechnology } from "./config.ts";
import type { RoleContext } from "./roles/context.ts";

/** What separates functions of each technology from the machine and from each other. */
export const ISOLATION = Object.freeze({ process: "none", container: "container" });
/** Made ahead, for as many starts at once. */
const NETWORKS = 16;

type Asked = Pick<Config, "sandbox" | "ociRuntime">;

/** The best that works here, or what was asked for. @throws PlatformError when that can't be had: never something weaker. */
export async function chooseSandbox({ sandbox, ociRuntime }: Asked, searchPath: string): Promise<SandboxTechnology> {
  if (sandbox === "process") return sandbox;
  if (sandbox === "microvm") throw cannot(sandbox, "microVMs are not part of this version", "Use container, or auto.");
  const probe = await probeContainers({ wanted: ociRuntime, searchPath });
  if (probe.works) return "container";
  // Whoever named a runtime does not want to do without.
  if (sandbox === "auto" && ociRuntime === undefined) return "process";
  throw cannot(sandbox, probe.reason, probe.remedy);
}

function cannot(choice: SandboxChoice, reason: string, remedy: string): PlatformError {
  return new PlatformError("unavailable", `COLIBRI_SANDBOX=${choice} can't be had here: ${reason}. ${remedy}`);
}

/** In words: what is in force, and how to have more. */
export async function describeIsolation(technology: SandboxTechnology, wanted: string | undefined, searchPath: string) {
  const probe = await probeContainers({ wanted, searchPath });
  if (technology === "container") return `container: ${probe.works ? probe.detail : probe.reason}`;
  const summary = "process: plain processes, no isolation: for code you trust";
  return probe.works ? summary : `${summary}. Containers: ${probe.reason}. ${probe.remedy}`;
}

/** Tells the control groups and networks of this home's sandboxes from another's. */
export function keyOf(home: string): string {
  return createHash("sha256").update(home).digest("hex").slice(0, 8);
}

export async function createSandboxDriver(context: RoleContext): Promise<SandboxDriver> {
  const { config, paths } = context;
  const spawner = paths.sockets.spawner;
  if (config.sandbox !== "container")
    return createProcessDriver(context, { folder: join(paths.agent.home, "sandboxes"), spawner });
  const runtime = await findOciRuntime(config.ociRuntime, process.env.PATH ?? "");
  if ("why" in runtime) throw cannot("container", runtime.why, runtime.remedy);
  const key = keyOf(config.home);
  const home = key.slice(0, 6);
  const networks = createSandboxNetworks(context, {
    home,
    folder: join(paths.agent.home, "networks"),
    poolSize: NETWORKS,
  });
  return createContainerDriver({ ...context, networks }, { place: SANDBOX_PLACE, spawner, key, runtime });
}
