import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { ProcessName } from "#base/process-group.ts";
import type { Random } from "#base/random.ts";
import { loadSystemCalls, type SystemCalls } from "#base/system-calls.ts";
import { PlatformError } from "#contract/errors.ts";
import { integer, object, optional, parse, type TypeOf, text } from "#contract/shape.ts";
import type {
  RuntimeLaunch,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxHandle,
  SandboxSpec,
} from "#ports/sandbox/index.ts";
import { SPAWNER_TELLS_MS, SpawnerClient } from "../spawned/spawner-client.ts";
import { commandFor, startFailed, untilListening } from "../spawned/start.ts";
import { type CgroupLimits, type Cgroups, openCgroups } from "./cgroups/cgroups.ts";
import { makeDeviceNodes } from "./device-nodes.ts";
import { IdRanges } from "./id-ranges.ts";
import type { ImageFolders } from "./image-root.ts";
import type { SandboxNetworks, TakenNetwork } from "./network/networks.ts";
import { INSIDE, OOM_SCORE, ociConfig } from "./oci-config.ts";
import { type OciRuntime, runCommand } from "./oci-runtime.ts";
import { BundleViews, Place, SHELL_WORDS } from "./place.ts";
import { probeContainers } from "./probe.ts";
import { RootFileSystems } from "./root-file-system.ts";
import { ContainerSandbox } from "./sandbox.ts";

export interface ContainerDriverDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Undefined where sandboxes have a network of nothing. */
  readonly networks: SandboxNetworks | undefined;
}

export interface ContainerDriverOptions {
  /** Absolute, in memory and in this process's own mount table; everybody can get to what is in it. */
  readonly place: string;
  /** Where the spawner listens. */
  readonly spawner: string;
  /** Tells this platform's cgroups from another's. */
  readonly key: string;
  readonly runtime: OciRuntime;
  /** Folders that images were unpacked into, to be the roots of sandboxes; else they have the host's runtime files. */
  readonly images?: ImageFolders;
  /** Whose roots are made, and tried, before the driver is open: what does not run is found before somebody waits for it. */
  readonly runtimes?: readonly RuntimeLaunch[];
  /** For a guest to listen. */
  readonly startMs?: number;
}

const START_MS = 30_000;
/** Threads count. */
const PROCESSES = 512;
const CPU_WEIGHT_PER_128_MIB = 100;
const MOST_CPU_WEIGHT = 10_000;
/** As much memory goes with one processor; nobody has less than one. */
const MIB_PER_CPU = 2_048;
const ENVIRONMENT = Object.freeze({
  PATH: "/usr/local/bin:/usr/bin:/bin",
  HOME: INSIDE.tmp,
  TMPDIR: INSIDE.tmp,
  LANG: "C.UTF-8",
  COLIBRI_CODE_FOLDER: INSIDE.unpacked,
  COLIBRI_OOM_KILLS: INSIDE.oomKills,
});
/**
 * Joins the cgroups named before `--`, then becomes the command behind it. Of root's, the sandbox can't go below the score. And
 * its standard input is a pipe at its end, since runtimes give that to the user in there, who would then own the host's /dev/null.
 */
const JOIN = `while [ "$1" != -- ]; do echo 0 > "$1" || exit 1; shift; done
shift
echo ${OOM_SCORE} > /proc/self/oom_score_adj || exit 1
exec "$@" <<END
END
`;
/**
 * The first process of a sandbox. The guest is its child: signals without a handler do nothing to a first process, and nobody else
 * would bury what functions leave behind. Its own words are not the function's: they tell a signal (137, "Killed") from an exit with
 * the same code. In parentheses, or the shell would take the child's stderr for the time.
 */
const INIT = ["/bin/sh", "-c", `exec 3>&2 2>${SHELL_WORDS}; (exec "$@" 2>&3 3>&-); exit $?`, "sh"];
const containerState = object({ pid: integer(2), startTime: text(32), range: integer(), network: optional(text(64)) });

/**
 * Sandboxes as containers: namespaces, a cgroup, a seccomp filter and a root of their own each, made by an OCI runtime that the
 * spawner runs. This process must be in a mount table of its own, and the spawner in the same one (base/system-calls.ts): then
 * nothing is mounted on the host, and what is mounted goes when the platform does.
 *
 * Owns: `place` with what is mounted there, cgroups below `colibri/<key>`. Does not own: handles on disk, network namespaces.
 * Invariants: 1. whatever ends a start leaves no process, mount, cgroup or folder; 2. every sandbox that is not gone is in
 * `active`; 3. no two sandboxes that run share an id on the host.
 */
export function createContainerDriver(deps: ContainerDriverDeps, options: ContainerDriverOptions): SandboxDriver {
  const { clock, log, networks } = deps;
  const { runtime } = options;
  const folder = join(options.place, "sandboxes");
  const state = join(options.place, "state");
  const devices = join(options.place, "devices");
  const spawner = new SpawnerClient(deps, { address: options.spawner });
  const ids = new IdRanges();
  const active = new Map<string, ContainerSandbox>();
  let opened: Opened | undefined;

  const open = () => {
    if (opened === undefined) throw new PlatformError("unavailable", "the container driver is not open");
    return opened;
  };
  const placeOf = (id: string) => new Place(open().calls, join(folder, id));

  function follow(handle: SandboxHandle, name: ProcessName, range: number, network: TakenNetwork | undefined) {
    const { id } = handle;
    const { views, cgroups } = open();
    const left = () => {
      active.delete(id);
      ids.giveBack(range);
      removeState(id);
    };
    const parts = { place: placeOf(id), cgroup: cgroups.find(id), network, deliver: runtime.deliver, name };
    const sandbox = new ContainerSandbox({ spawner, views, log, left }, handle, parts);
    active.set(id, sandbox);
    return sandbox.follow();
  }

  async function start(spec: SandboxSpec): Promise<Sandbox> {
    const { id, memoryMiB } = spec;
    const range = ids.take();
    let network: TakenNetwork | undefined;
    let name: ProcessName;
    try {
      network = await networks?.take();
      name = await spawn(spec, range, network?.path);
    } catch (error) {
      await tryOn(id, "remove what was made of it", () => remove(id));
      ids.giveBack(range);
      await tryOn(id, "give back its network", async () => network?.release());
      throw startFailed(spec, error instanceof Error ? error.message : String(error), error);
    }
    const { pid, startTime } = name;
    const own = { pid, startTime, range, ...(network !== undefined && { network: network.name }) };
    const handle = {
      version: 1,
      technology: "container",
      id,
      runtime: spec.runtime.name,
      memoryMiB,
      state: own,
    } as const;
    const sandbox = follow(handle, name, range, network);
    await untilListening(clock, spec, sandbox, options.startMs ?? START_MS);
    return sandbox;
  }

  async function spawn(spec: SandboxSpec, range: number, networkPath: string | undefined): Promise<ProcessName> {
    const { calls, cgroups, roots } = open();
    const { id, memoryMiB } = spec;
    const place = new Place(calls, join(folder, id));
    const firstId = IdRanges.firstId(range);
    place.make((runtime.userNamespace ? firstId : 0) + INSIDE.userId);
    const rootFolder = await roots.of(spec.runtime);
    const cgroup = await cgroups.create(id, limitsFor(memoryMiB));
    place.configure(
      ociConfig({
        command: [...INIT, ...commandFor(spec).map((part) => spec.runtime.files?.shows[part] ?? part)],
        environment: { ...ENVIRONMENT, ...spec.runtime.environment },
        rootFolder,
        runFolder: place.run,
        codeFolder: place.code,
        devicesFolder: devices,
        firstId: runtime.userNamespace ? firstId : undefined,
        networkPath,
        // A kernel of gVisor's ends as a whole.
        oomFile: runtime.userNamespace ? cgroup.oomFile : undefined,
        cgroupPath: cgroup.path,
        masksWith: runtime.masksWith,
        memoryMiB,
      }),
    );
    const { bundle, pidFile } = place;
    const command = ["/bin/sh", "-c", JOIN, "sh", ...cgroup.joinFiles, "--"];
    command.push(...runCommand(runtime, { id, bundle, pidFile, state, networkPath }));
    return spawner.spawn(id, {
      command,
      cwd: place.folder,
      environment: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
      pidFile,
    });
  }

  async function recover(handle: SandboxHandle): Promise<Sandbox | undefined> {
    const { id } = handle;
    const found = await revive(handle);
    if (found === undefined) {
      await tryOn(id, "remove it: the next agent tries again", () => remove(id));
      return undefined;
    }
    const { pid, startTime, range } = found.state;
    ids.takeAgain(range);
    return follow(handle, { pid, startTime }, range, found.network);
  }

  /** Undefined where it is not whole any more. */
  async function revive({ id, state: written }: SandboxHandle): Promise<Revived | undefined> {
    // Of a platform that is dead: its mount table is gone, and with it every way to what still runs.
    if (!placeOf(id).exists) return undefined;
    const state = readState(id, written);
    if (state === undefined) return undefined;
    const { pid, startTime } = state;
    const child = spawner.children.get(id);
    const alive =
      child !== undefined
        ? child.startTime === startTime
        : await spawner.adopt(id, { pid, startTime, cwd: join(folder, id) });
    if (!alive || state.network === undefined) return alive ? { state, network: undefined } : undefined;
    const network = await networks?.recover(state.network);
    if (network !== undefined) return { state, network };
    // It would reach nothing, and be held to no policy. What is left of the network is for its own reaping.
    log.warn("a sandbox is removed: its network is lost", { sandbox: id, network: state.network });
    return undefined;
  }

  /** Undefined for what another version wrote. */
  function readState(id: string, written: unknown): ContainerState | undefined {
    try {
      return parse(containerState, written, `state of sandbox ${id}`);
    } catch (error) {
      log.warn("a sandbox is removed: what an earlier agent noted of it can't be read", { sandbox: id, error });
      return undefined;
    }
  }

  async function reap(keep: readonly SandboxHandle[]): Promise<number> {
    const kept = new Set(keep.map(({ id }) => id));
    const known = [...(await open().cgroups.list()), ...spawner.children.keys(), ...readdirSync(folder)];
    const rest = [...new Set(known)].filter((id) => !kept.has(id));
    await Promise.all(rest.map((id) => tryOn(id, "remove it: the next agent tries again", () => remove(id))));
    spawner.becomeStrict();
    await networks?.reap(keep.flatMap(({ state: { network } }) => (typeof network === "string" ? [network] : [])));
    return rest.length;
  }

  /** One sandbox's trouble, such as a process that the kernel holds, is not the others'. */
  async function tryOn(sandbox: string, what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      log.error(`of a sandbox that is not there any more, could not ${what}`, { sandbox, error });
    }
  }

  /** Whatever there is of it. */
  async function remove(id: string): Promise<void> {
    const cgroup = open().cgroups.find(id);
    await cgroup.kill();
    await cgroup.remove();
    await spawner.untilTold(id, SPAWNER_TELLS_MS);
    spawner.forget(id);
    placeOf(id).remove();
    removeState(id);
  }

  function removeState(id: string): void {
    rmSync(join(state, id), { recursive: true, force: true });
  }

  return {
    technology: "container",
    capabilities: capabilitiesOf(runtime, networks !== undefined),
    probe: () => probeContainers({ wanted: runtime.path, searchPath: "" }),
    async open(signal) {
      signal.throwIfAborted();
      mkdirSync(folder, { recursive: true, mode: 0o711 });
      mkdirSync(state, { recursive: true, mode: 0o700 });
      const calls = await loadSystemCalls();
      const cgroups = await openCgroups(deps, { parent: `colibri/${options.key}` });
      const views = new BundleViews(calls, join(options.place, "bundles"));
      views.open();
      const roots = new RootFileSystems(calls, join(options.place, "roots"), options.images ?? {});
      roots.open();
      await makeDeviceNodes(calls, devices);
      for (const launch of options.runtimes ?? []) await roots.of(launch);
      await networks?.open(signal);
      opened = { calls, cgroups, views, roots };
      await spawner.open(signal);
    },
    async close() {
      await spawner.close();
      await networks?.close();
      await opened?.cgroups.close();
    },
    start,
    recover,
    reap,
    async endAll() {
      await Promise.all([...active.values()].map((sandbox) => sandbox.end()));
    },
  };
}

type ContainerState = TypeOf<typeof containerState>;

interface Revived {
  readonly state: ContainerState;
  readonly network: TakenNetwork | undefined;
}

interface Opened {
  readonly calls: SystemCalls;
  readonly cgroups: Cgroups;
  readonly views: BundleViews;
  readonly roots: RootFileSystems;
}

export function capabilitiesOf({ deliver }: OciRuntime, network: boolean): SandboxCapabilities {
  const limits = { memory: "enforced", cpu: "enforced", processes: "enforced" } as const;
  return Object.freeze({ isolation: "container", deliver, freeze: true, network, limits: Object.freeze(limits) });
}

/** Whoever has more memory has more of the processors. */
function limitsFor(memoryMiB: number): CgroupLimits {
  const cpuWeight = Math.min(MOST_CPU_WEIGHT, Math.ceil((memoryMiB * CPU_WEIGHT_PER_128_MIB) / 128));
  return { memoryMiB, pids: PROCESSES, cpuWeight, cpus: Math.max(1, memoryMiB / MIB_PER_CPU) };
}
