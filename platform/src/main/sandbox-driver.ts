import { join } from "node:path";
import { PlatformError } from "#contract/errors.ts";
import { createContainerDriver } from "#drivers/sandbox/container/driver.ts";
import { createSandboxNetworks } from "#drivers/sandbox/container/network/networks.ts";
import { SANDBOX_PLACE } from "#drivers/sandbox/container/own-mounts.ts";
import { probeContainers } from "#drivers/sandbox/container/probe.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import type { RuntimeLaunch, SandboxDriver } from "#ports/sandbox/index.ts";
import { homeKey } from "./home.ts";
import type { RoleContext } from "./roles/context.ts";

/** Networks made ahead, for as many starts at once. */
export const NETWORKS = 16;

/** @param runtimes that it is to start sandboxes of. */
export async function createSandboxDriver(
  context: RoleContext,
  runtimes: readonly RuntimeLaunch[],
): Promise<SandboxDriver> {
  const { config, paths } = context;
  const spawner = paths.sockets.spawner;
  if (config.sandbox !== "container")
    return createProcessDriver(context, { folder: join(paths.agent.home, "sandboxes"), spawner });
  const probe = await probeContainers({ wanted: config.ociRuntime, searchPath: process.env.PATH ?? "" });
  if (!probe.works)
    throw new PlatformError("unavailable", `containers don't work here: ${probe.reason} → ${probe.remedy}`);
  const { runtime } = probe;
  const key = homeKey(config.home);
  const home = key.slice(0, 6);
  const networks = createSandboxNetworks(context, {
    home,
    folder: join(paths.agent.home, "networks"),
    poolSize: NETWORKS,
  });
  return createContainerDriver(
    { ...context, networks },
    { place: SANDBOX_PLACE, spawner, key, runtime, images: config.rootFolders, runtimes },
  );
}
