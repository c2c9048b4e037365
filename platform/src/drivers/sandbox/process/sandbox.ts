import { rm } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "#base/assert.ts";
import { groupMembers, isRunning, type ProcessName, signalGroup } from "#base/process-group.ts";
import { descendantsOf, type Reaper } from "#base/reaper.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { SpawnerSignal } from "#contract/spawner/link.ts";
import type { Bundle, Sandbox, SandboxExit, SandboxHandle } from "#ports/sandbox/index.ts";
import { explainEnd } from "../spawned/exit.ts";
import { GuestOutput } from "../spawned/guest-output.ts";
import type { OutputStream, ProcessExit, SpawnerClient } from "../spawned/spawner-client.ts";
import { type MemorySampler, proportionalMiB, type Watched } from "./sampler.ts";

export interface ProcessSandboxDeps {
  readonly spawner: SpawnerClient;
  readonly sampler: MemorySampler;
  readonly reaper: Reaper;
  /** Called once, when nothing of it is left. */
  readonly left: (sandbox: ProcessSandbox) => void;
}

/** A dead leader whose spawner is away this many samples long will not be told of by anybody. */
const ENDED_SAMPLES = 8;

/**
 * A guest as a plain process group. Owns: its folder and its end. Invariants: 1. `gone` settles after nothing runs that the
 * spawner or the reaper could see and end, and the folder is removed; 2. signals go through the spawner, which knows whether the
 * pid is still the child's; while the spawner is away only a process with the right start time is signalled.
 */
export class ProcessSandbox implements Sandbox, Watched {
  readonly handle: SandboxHandle;
  readonly folder: string;
  readonly gone: Promise<SandboxExit>;
  readonly #deps: ProcessSandboxDeps;
  readonly #name: ProcessName;
  readonly #settle: (exit: SandboxExit) => void;
  readonly #output = new GuestOutput();
  #killedFor: GoneCause | undefined;
  #endedSamples = 0;
  #ending = false;
  #kin: readonly ProcessName[] = [];

  constructor(deps: ProcessSandboxDeps, folder: string, handle: SandboxHandle, name: ProcessName) {
    this.#deps = deps;
    this.folder = folder;
    this.handle = handle;
    this.#name = name;
    const gone = Promise.withResolvers<SandboxExit>();
    this.gone = gone.promise;
    this.#settle = gone.resolve;
  }

  /** From here on its output, its memory and its end are followed. */
  follow(): this {
    this.#deps.sampler.watch(this);
    this.#deps.spawner.listen(
      this.id,
      { ...this.#name, cwd: this.folder },
      {
        output: (stream, text) => this.#output.add(stream, text),
        exited: (exit) => void this.#exited(exit),
      },
    );
    return this;
  }

  get id(): string {
    return this.handle.id;
  }
  get address(): string {
    return join(this.folder, "guest.sock");
  }
  get pid(): number {
    return this.#name.pid;
  }
  get limitMiB(): number {
    return this.handle.memoryMiB;
  }
  /** The last line that looks like a reason, for messages. */
  get lastWords(): string {
    return this.#output.lastWords;
  }

  async deliver(bundle: Bundle, network: NetworkPolicy): Promise<{ kind: "mount"; path: string }> {
    await this.restrict(network);
    return { kind: "mount", path: bundle.folder };
  }

  async restrict({ kind }: NetworkPolicy): Promise<void> {
    assert(kind === "internet", "processes are not held to network policies");
  }

  freeze(): Promise<void> {
    return this.#signal("SIGSTOP");
  }

  thaw(): Promise<void> {
    return this.#signal("SIGCONT");
  }

  async kill(cause: GoneCause): Promise<void> {
    this.#killedFor ??= cause;
    await this.#signal("SIGKILL");
  }

  /** Without the spawner, which may be gone for good. */
  async end(): Promise<void> {
    this.#killedFor ??= "host";
    if (isRunning(this.#name.pid, this.#name.startTime)) this.#kin = descendantsOf(this.#name.pid);
    void this.#exited({ code: null, signal: null });
    await this.gone;
  }

  onOutput(listener: (stream: OutputStream, text: string) => void): void {
    this.#output.listen(listener);
  }

  async memoryMiB(): Promise<number | undefined> {
    const members = groupMembers(this.pid);
    return members.length === 0 ? undefined : proportionalMiB(members);
  }

  exceeded(): void {
    void this.kill("out-of-memory");
  }

  ended(): void {
    if (this.#deps.spawner.connected) this.#endedSamples = 0;
    else if (++this.#endedSamples >= ENDED_SAMPLES) void this.#exited({ code: null, signal: null });
  }

  async #signal(signal: SpawnerSignal): Promise<void> {
    if (this.#ending) return;
    try {
      await this.#deps.spawner.signal(this.id, signal);
    } catch {
      if (!isRunning(this.#name.pid, this.#name.startTime)) return;
      if (signal === "SIGKILL") this.#kin = descendantsOf(this.#name.pid);
      signalGroup(this.#name.pid, signal);
    }
  }

  async #exited(exit: ProcessExit): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    this.#deps.sampler.unwatch(this);
    this.#deps.spawner.forget(this.id);
    if (exit.code === null && exit.signal === null) await this.#endRest();
    await rm(this.folder, { recursive: true, force: true }).catch(() => {});
    this.#deps.left(this);
    const { limitMiB } = this;
    this.#settle(explainEnd({ exit, killedFor: this.#killedFor, heapFull: this.#output.heapFull, limitMiB }));
  }

  /** What a spawner does otherwise, of one that saw no spawner to its end. */
  async #endRest(): Promise<void> {
    const { id, pid, folder } = this;
    await this.#deps.reaper.end({ id, groups: [pid], folder, kin: this.#kin });
  }
}
