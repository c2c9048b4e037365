import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LogLevel } from "#base/log.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { findRuntimes, type Runtimes } from "#platform/agent/index.ts";
import type { Tell } from "#platform/dev/index.ts";
import type { HomePaths } from "../home.ts";
import { createDevBuild, type DevBuild } from "./build.ts";
import { abandonedHomes, type DevHome, devHomes, devRoot, makeDevHome, removeHome } from "./dev-home.ts";
import type { DevBase } from "./front.ts";
import type { Parts } from "./parts.ts";
import { createSpawnerProcess, type SpawnerProcess } from "./spawner-process.ts";

export interface PlaceOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly logLevel: LogLevel;
}

/** What functions need of this machine. */
export interface Place {
  readonly home: DevHome;
  /** Of all that run, by id. */
  readonly homes: () => ReadonlySet<string>;
  readonly spawner: SpawnerProcess;
  readonly runtimes: Runtimes;
  readonly build: DevBuild;
}

export async function openPlace(
  base: DevBase,
  { environment, logLevel }: PlaceOptions,
  { tell, parts }: { readonly tell: Tell; readonly parts: Parts },
  signal: AbortSignal,
): Promise<Place> {
  signal.throwIfAborted();
  const root = devRoot();
  const home = makeDevHome(root);
  const spawner = createSpawnerProcess(base, { address: home.paths.sockets.spawner, logLevel });
  parts.add(async () => {
    // Where guests may be left the next dev needs their folders to end them.
    if ((await spawner.close()) === "ended") home.close();
  });
  await spawner.open(signal);
  await sweep(base, { root, spawner: home.paths.sockets.spawner }, tell, signal);
  const runtimes = await findGuests(home.paths, environment);
  signal.throwIfAborted();
  const build = createDevBuild(base, { paths: home.paths, runtimes, environment, tell });
  parts.add(() => build.close());
  await build.open(signal);
  return { home, homes: () => devHomes(root), spawner, runtimes, build };
}

/** What runs that were killed have left: their guests, and their homes. One that can't be removed keeps nobody from working. */
async function sweep(
  base: DevBase,
  { root, spawner }: { readonly root: string; readonly spawner: string },
  tell: Tell,
  signal: AbortSignal,
): Promise<void> {
  for (const paths of abandonedHomes(root)) {
    try {
      await reap(base, paths, spawner, signal);
      removeHome(paths);
    } catch (error) {
      signal.throwIfAborted();
      const text = `what an earlier run has left in ${paths.home} can't be removed: ${(error as Error).message}`;
      tell({ kind: "warning", function: undefined, text });
    }
  }
}

async function reap(base: DevBase, paths: HomePaths, spawner: string, signal: AbortSignal): Promise<void> {
  const driver = createProcessDriver(base, { folder: join(paths.agent.home, "sandboxes"), spawner });
  try {
    await driver.open(signal);
    await driver.reap([]);
  } finally {
    await driver.close();
  }
}

/** Bundled guests are kept beside the platform's packages, so that only the first start waits for them. */
async function findGuests(paths: HomePaths, environment: PlaceOptions["environment"]): Promise<Runtimes> {
  const kept = fileURLToPath(new URL("../../../../node_modules/.cache/colibri/guests", import.meta.url));
  const guests = await bundleGuests(kept).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EACCES" && error.code !== "EROFS" && error.code !== "EPERM") throw error;
    return bundleGuests(paths.agent.guests);
  });
  const node = { path: process.execPath, version: process.versions.node };
  return findRuntimes({ guests, node, searchPath: environment.PATH ?? "" });
}
