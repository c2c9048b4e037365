import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { bundleGuests } from "#guest/bundle.ts";
import { packTar } from "#guest/testing/pack-tar.ts";
import { type SandboxFixture, testSandboxDriver } from "#ports/sandbox/conformance.ts";
import type { SandboxHandle, SandboxSpec } from "#ports/sandbox/index.ts";
import { capabilitiesOf, createContainerDriver } from "./driver.ts";
import { OCI_RUNTIMES, type OciRuntime } from "./oci-runtime.ts";
import { enterOwnMounts, SANDBOX_PLACE } from "./own-mounts.ts";
import { probeContainers } from "./probe.ts";

const clock = createSystemClock();
const network = createSocketNetwork();
const deps = { network, clock, random: createSystemRandom(), log: createSilentLog(), networks: undefined };
const path = (url: string) => fileURLToPath(new URL(url, import.meta.url));
const functions = path("../../../ports/sandbox/testing/functions");
const archive = packTar(
  Object.fromEntries(readdirSync(functions).map((name) => [name, readFileSync(join(functions, name), "utf8")])),
);
const digestOf = (bytes: Uint8Array) => `sha256:${createHash("sha256").update(bytes).digest("hex")}` as const;
const searchPath = process.env.PATH ?? "";

async function make(runtime: OciRuntime, guest: string): Promise<SandboxFixture> {
  const home = mkdtempSync(join(tmpdir(), "colibri-container-"));
  const key = `test-${home.slice(-6)}`;
  const place = join(SANDBOX_PLACE, key);
  mkdirSync(place, { mode: 0o711 });
  const options = { place, spawner: join(home, "spawner.sock"), key, runtime };
  const spawner = await openSpawner(options.spawner);

  async function startAndDie(spec: SandboxSpec): Promise<SandboxHandle> {
    const child = spawn(process.execPath, [path("./holder.fixture.ts"), JSON.stringify({ spec, options })], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const exited = once(child, "exit");
    const [line] = (await once(createInterface({ input: child.stdout! }), "line")) as [string];
    child.kill("SIGKILL");
    await exited;
    return JSON.parse(line);
  }

  const { execPath } = process;
  const files = { shows: { [execPath]: "/opt/colibri/node", [guest]: "/opt/colibri/guest.mjs" }, hides: [] };
  const command = [execPath, "--max-old-space-size={memoryMiB}", guest];
  return {
    driver: createContainerDriver(deps, options),
    network,
    runtime: { name: "nodejs", command, environment: {}, files },
    bundle: {
      digest: digestOf(archive),
      bytes: archive.length,
      folder: functions,
      read: () => Readable.from([archive]),
    },
    broken: (spec) => ({ ...spec, runtime: { ...spec.runtime, command: [execPath, "-e", "throw Error('no')"] } }),
    again: () => createContainerDriver(deps, options),
    startAndDie,
    settle: (promise) => promise,
    // Processes on a kernel of gVisor's are not seen on the host.
    ...(runtime.userNamespace && { isRunning: (pid: number) => inNamespaces().some((inside) => inside === pid) }),
    leftovers: async () => leftovers(place, key),
    async remove() {
      const sweep = createContainerDriver(deps, options);
      await sweep.open(AbortSignal.timeout(5_000));
      await sweep.reap([]);
      await sweep.close();
      await spawner.close();
      rmSync(home, { recursive: true });
    },
  };
}

/** In a process of its own, since it becomes the parent of what containers leave. */
async function openSpawner(address: string) {
  const program = path("../spawned/spawner.fixture.ts");
  const child = spawn(process.execPath, [program, address], { stdio: ["pipe", "pipe", "inherit"] });
  const exited = once(child, "exit");
  await once(child.stdout!, "data");
  return {
    async close() {
      child.stdin!.end();
      await exited;
    },
  };
}

/** The pids that processes of sandboxes have in there. */
function inNamespaces(): number[] {
  return readdirSync("/proc").flatMap((pid) => {
    const status = existsSync(`/proc/${pid}/status`) ? readStatus(pid) : "";
    const [, inside] = /^NSpid:\t\d+\t(\d+)$/m.exec(status) ?? [];
    return inside === undefined || /^State:\tZ/m.test(status) ? [] : [Number(inside)];
  });
}

function readStatus(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8");
  } catch {
    return "";
  }
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

if (process.getuid?.() === 0) await enterOwnMounts();
const guests = mkdtempSync(join(tmpdir(), "colibri-guests-"));
process.once("exit", () => rmSync(guests, { recursive: true, force: true }));
const guest = (await bundleGuests(guests)).nodejs;
const probes = await Promise.all(OCI_RUNTIMES.map((wanted) => probeContainers({ wanted, searchPath })));
for (const [index, probe] of probes.entries()) {
  const name = `container, ${OCI_RUNTIMES[index]}`;
  if (!probe.works) test(name, { skip: `${probe.reason}. ${probe.remedy}` }, () => {});
  else describe(name, () => testRuntime(name, probe.runtime));
}

function testRuntime(name: string, runtime: OciRuntime): void {
  testSandboxDriver({ name, capabilities: capabilitiesOf(runtime, false), make: () => make(runtime, guest) });
}
