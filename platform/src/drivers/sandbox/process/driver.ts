import { existsSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { ProcessName, ProcessStat } from "#base/process-group.ts";
import type { Random } from "#base/random.ts";
import { Reaper } from "#base/reaper.ts";
import { PlatformError } from "#contract/errors.ts";
import { integer, object, parse, text } from "#contract/shape.ts";
import type {
  Probe,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxHandle,
  SandboxSpec,
} from "#ports/sandbox/index.ts";
import { SPAWNER_TELLS_MS, SpawnerClient } from "../spawned/spawner-client.ts";
import { commandFor, startFailed, untilListening } from "../spawned/start.ts";
import { findLeftovers } from "./leftovers.ts";
import { MemorySampler } from "./sampler.ts";
import { ProcessSandbox } from "./sandbox.ts";

export interface ProcessDriverDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface ProcessDriverOptions {
  /** Where sandboxes have their folders, `<folder>/<id>`; nothing else is in it. */
  readonly folder: string;
  /** Where the spawner listens. */
  readonly spawner: string;
  /** For a guest to listen. */
  readonly startMs?: number;
  readonly sampleMs?: number;
  /** For a process to end after the kill. */
  readonly killMs?: number;
}

const CAPABILITIES: SandboxCapabilities = Object.freeze({
  isolation: "none",
  deliver: "mount",
  freeze: true,
  network: false,
  limits: Object.freeze({ memory: "watched", cpu: "none", processes: "none" }),
});
const START_MS = 30_000;
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const processState = object({ pid: integer(2), startTime: text(32) });

/**
 * Sandboxes as plain processes, started by the spawner: for development, and where nothing better works. There is no isolation:
 * a function can do what the platform's user can do.
 *
 * Owns: the folders `<folder>/<id>` and the processes in them. Does not own: handles on disk.
 * Invariants: 1. whatever ends a start leaves no process and no folder; 2. every sandbox that is not gone is in `active`.
 */
export function createProcessDriver(deps: ProcessDriverDeps, options: ProcessDriverOptions): SandboxDriver {
  const spawner = new SpawnerClient(deps, { address: options.spawner });
  const sampler = new MemorySampler(deps, { everyMs: options.sampleMs ?? 250 });
  const reaper = new Reaper(deps, options.killMs === undefined ? {} : { patienceMs: options.killMs });
  const active = new Map<string, ProcessSandbox>();
  const sandboxDeps = { spawner, sampler, reaper, left: (sandbox: ProcessSandbox) => void active.delete(sandbox.id) };
  const folderOf = (id: string) => join(resolve(options.folder), id);

  function follow(handle: SandboxHandle, name: ProcessName): ProcessSandbox {
    const sandbox = new ProcessSandbox(sandboxDeps, folderOf(handle.id), handle, name);
    active.set(handle.id, sandbox);
    return sandbox.follow();
  }

  async function start(spec: SandboxSpec): Promise<Sandbox> {
    let name: ProcessName;
    try {
      name = await spawn(spec).catch((error) => {
        // The spawner went away: nothing was lost but time, and the next one is on its way.
        if (error instanceof PlatformError && error.code === "unavailable") return spawn(spec);
        throw error;
      });
    } catch (error) {
      throw startFailed(spec, error instanceof Error ? error.message : String(error), error);
    }
    const state = { pid: name.pid, startTime: name.startTime };
    const { id, memoryMiB, runtime } = spec;
    const sandbox = follow({ version: 1, technology: "process", id, runtime: runtime.name, memoryMiB, state }, name);
    await untilListening(deps.clock, spec, sandbox, options.startMs ?? START_MS);
    return sandbox;
  }

  async function spawn(spec: SandboxSpec): Promise<ProcessName> {
    const folder = folderOf(spec.id);
    try {
      await mkdir(join(folder, "tmp"), { recursive: true, mode: 0o700 });
      return await spawner.spawn(spec.id, commandOf(spec, folder));
    } catch (error) {
      // It may run all the same: a spawner that dies leaves what it started, and its answer may be what was lost.
      await remove(spec.id, findLeftovers(resolve(options.folder)).get(spec.id) ?? []);
      throw error;
    }
  }

  async function recover(handle: SandboxHandle): Promise<Sandbox | undefined> {
    const state = parse(processState, handle.state, `state of sandbox ${handle.id}`);
    const child = spawner.children.get(handle.id);
    const alive =
      child !== undefined
        ? child.startTime === state.startTime
        : await spawner.adopt(handle.id, { ...state, cwd: folderOf(handle.id) });
    if (alive) return follow(handle, state);
    await remove(handle.id, []);
    return undefined;
  }

  async function reap(keep: readonly SandboxHandle[]): Promise<number> {
    const kept = new Set(keep.map((handle) => handle.id));
    const processes = findLeftovers(resolve(options.folder));
    const ids = new Set([...processes.keys(), ...spawner.children.keys(), ...(await readdir(options.folder))]);
    const rest = [...ids].filter((id) => !kept.has(id));
    await Promise.all(rest.map((id) => remove(id, processes.get(id) ?? [])));
    spawner.becomeStrict();
    return rest.length;
  }

  async function remove(id: string, kin: readonly ProcessStat[]): Promise<void> {
    if (spawner.connected && spawner.children.has(id)) await spawner.signal(id, "SIGKILL");
    const groups = [...new Set(kin.map(({ group }) => group))];
    const ended = await reaper.end({ id, groups, folder: folderOf(id), kin });
    // Until it is told as exited the spawner has it, and would name it to whoever recovers.
    const told = await spawner.untilTold(id, SPAWNER_TELLS_MS);
    spawner.forget(id);
    // What could not be ended keeps its folder, by which the next agent finds it.
    if (ended && told) await rm(folderOf(id), { recursive: true, force: true });
  }

  return {
    technology: "process",
    capabilities: CAPABILITIES,
    probe,
    async open(signal) {
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      await spawner.open(signal);
    },
    async close() {
      sampler.close();
      await spawner.close();
    },
    start,
    recover,
    reap,
    async endAll() {
      await Promise.all([...active.values()].map((sandbox) => sandbox.end()));
    },
  };
}

async function probe(): Promise<Probe> {
  if (existsSync("/proc/self/smaps_rollup")) return { works: true, detail: "plain processes, without isolation" };
  const remedy = "Use Linux with /proc mounted.";
  return { works: false, reason: "/proc/self/smaps_rollup is not there to tell memory by", remedy };
}

/** Nothing of the platform's environment reaches a guest. */
function commandOf(spec: SandboxSpec, folder: string) {
  const tmp = join(folder, "tmp");
  const environment = { PATH, HOME: tmp, TMPDIR: tmp, LANG: "C.UTF-8", ...spec.runtime.environment };
  return { command: commandFor(spec), cwd: folder, environment };
}
