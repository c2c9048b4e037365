import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { RuntimeLaunch } from "#ports/sandbox/index.ts";
import { type ContainerDriverDeps, type ContainerDriverOptions, createContainerDriver } from "./driver.ts";
import type { ImageFolders } from "./image-root.ts";
import type { OciRuntime } from "./oci-runtime.ts";
import { SANDBOX_PLACE } from "./own-mounts.ts";

export const network = createSocketNetwork();
const clock = createSystemClock();
const deps = { network, clock, random: createSystemRandom(), log: createSilentLog(), networks: undefined };

/** A home of its own on this machine, with a spawner. This process must be in its own mounts. */
export async function openMachine(
  runtime: OciRuntime,
  images: ImageFolders = {},
  runtimes: readonly RuntimeLaunch[] = [],
) {
  const home = mkdtempSync(join(tmpdir(), "colibri-container-"));
  const key = `test-${home.slice(-6)}`;
  const place = join(SANDBOX_PLACE, key);
  mkdirSync(place, { mode: 0o711 });
  const options = { place, spawner: join(home, "spawner.sock"), key, runtime, images, runtimes };
  const spawner = await openSpawner(options.spawner);
  const createDriver = (other: Partial<ContainerDriverDeps> = {}, others: Partial<ContainerDriverOptions> = {}) =>
    createContainerDriver({ ...deps, ...other }, { ...options, ...others });
  return {
    ...{ home, key, options, createDriver },
    spawnerPid: spawner.pid,
    leftovers: () => leftovers(place, key),
    async close() {
      const sweep = createDriver();
      await sweep.open(AbortSignal.timeout(5_000));
      await sweep.reap([]);
      await sweep.close();
      await spawner.close();
      rmSync(home, { recursive: true });
    },
  };
}

/** The Node of these tests, with a bundled guest. */
export function nodeRuntime(guest: string): RuntimeLaunch {
  const { execPath } = process;
  const shows = { [execPath]: "/opt/colibri/node", [guest]: "/opt/colibri/guest.mjs" };
  const command = [execPath, "--max-old-space-size={memoryMiB}", guest];
  return { name: "nodejs", command, environment: {}, files: { shows, hides: [] } };
}

/** In a process of its own, since it becomes the parent of what containers leave. */
async function openSpawner(address: string) {
  const program = fileURLToPath(new URL("../spawned/spawner.fixture.ts", import.meta.url));
  const child = spawn(process.execPath, [program, address], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  await once(child.stdout!, "data");
  return {
    pid: child.pid!,
    async close() {
      child.stdin!.end();
      await exited;
    },
  };
}

function leftovers(place: string, key: string): string[] {
  const folders = ["sandboxes", "bundles", "state"].flatMap((name) => {
    const folder = join(place, name);
    return existsSync(folder) ? readdirSync(folder).map((left) => join(folder, left)) : [];
  });
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  const cgroups = readdirSync("/sys/fs/cgroup").flatMap((controller) => {
    const parent = `/sys/fs/cgroup/${controller}/colibri/${key}`;
    if (!existsSync(parent)) return [];
    const groups = readdirSync(parent, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    return groups.map(({ name }) => join(parent, name));
  });
  return [...folders, ...cgroups, ...mounts.filter((line) => line.includes(`${place}/sandboxes/`))];
}
