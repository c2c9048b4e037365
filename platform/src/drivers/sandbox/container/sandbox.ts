import { constants } from "node:os";
import type { Log } from "#base/log.ts";
import type { ProcessName } from "#base/process-group.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import { digestHex } from "#contract/digest.ts";
import type { GuestLoad } from "#contract/guest/link.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { Bundle, Sandbox, SandboxExit, SandboxHandle } from "#ports/sandbox/index.ts";
import { explainEnd } from "../spawned/exit.ts";
import { GuestOutput } from "../spawned/guest-output.ts";
import type { OutputStream, ProcessExit, SpawnerClient } from "../spawned/spawner-client.ts";
import type { Cgroup } from "./cgroups/cgroups.ts";
import type { TakenNetwork } from "./network/networks.ts";
import { INSIDE } from "./oci-config.ts";
import type { BundleViews, Place } from "./place.ts";

export interface ContainerSandboxDeps {
  readonly spawner: SpawnerClient;
  readonly views: BundleViews;
  readonly log: Log;
  /** Called once, when nothing of it is left. */
  readonly left: (sandbox: ContainerSandbox) => void;
}

/** What a sandbox is made of, on the host. */
export interface ContainerParts {
  readonly place: Place;
  readonly cgroup: Cgroup;
  readonly network: TakenNetwork | undefined;
  readonly deliver: "mount" | "bytes";
  /** Its first process, whose child the guest is. */
  readonly name: ProcessName;
}

/**
 * A guest in a container, child of the first process there (INIT in driver.ts): with that ends everything in there.
 *
 * Owns: its parts, and its end. Invariants: 1. `gone` settles after its cgroup is empty and removed, and its place and network are
 * given back; 2. it is killed by its cgroup, which holds all that it started and nothing else, frozen or not.
 */
export class ContainerSandbox implements Sandbox {
  readonly handle: SandboxHandle;
  readonly gone: Promise<SandboxExit>;
  readonly #deps: ContainerSandboxDeps;
  readonly #parts: ContainerParts;
  readonly #settle: (exit: SandboxExit) => void;
  readonly #output = new GuestOutput();
  #killedFor: GoneCause | undefined;
  #view: string | undefined;
  #ending = false;

  constructor(deps: ContainerSandboxDeps, handle: SandboxHandle, parts: ContainerParts) {
    this.#deps = deps;
    this.handle = handle;
    this.#parts = parts;
    const gone = Promise.withResolvers<SandboxExit>();
    this.gone = gone.promise;
    this.#settle = gone.resolve;
  }

  /** From here on its output and its end are followed. */
  follow(): this {
    const { name, place } = this.#parts;
    this.#deps.spawner.listen(
      this.id,
      { ...name, cwd: place.folder },
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
    return this.#parts.place.socket;
  }
  get lastWords(): string {
    return this.#output.lastWords;
  }

  async deliver(bundle: Bundle, policy: NetworkPolicy): Promise<GuestLoad["code"]> {
    const { place, deliver, network } = this.#parts;
    if (network !== undefined || policy.kind !== "internet") await this.restrict(policy);
    if (deliver === "bytes") return { kind: "bytes", bytes: bundle.bytes, digest: bundle.digest };
    if (this.#view === undefined) {
      this.#view = digestHex(bundle.digest);
      place.show(this.#deps.views.hold(this.#view, bundle.folder));
    }
    return { kind: "mount", path: INSIDE.code };
  }

  /** @throws Error where there is no network: nothing could be held to the policy. */
  async restrict(policy: NetworkPolicy): Promise<void> {
    const { network } = this.#parts;
    if (network === undefined) throw new Error("the sandbox has no network that could be held to a policy");
    await network.apply(policy);
  }

  freeze(): Promise<void> {
    return this.#parts.cgroup.freeze();
  }

  thaw(): Promise<void> {
    return this.#parts.cgroup.thaw();
  }

  async kill(cause: GoneCause): Promise<void> {
    this.#killedFor ??= cause;
    if (!this.#ending) await this.#parts.cgroup.kill();
  }

  /** Without the spawner, which may be gone for good. */
  async end(): Promise<void> {
    await this.kill("host");
    void this.#exited({ code: null, signal: null });
    await this.gone;
  }

  onOutput(listener: (stream: OutputStream, text: string) => void): void {
    this.#output.listen(listener);
  }

  memoryMiB(): Promise<number | undefined> {
    return this.#parts.cgroup.memoryMiB();
  }

  async #exited(told: ProcessExit): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const { cgroup, place, network } = this.#parts;
    const exit = asSignal(told, place.hasShellWords);
    // What was killed for want of memory may be one of its processes, and the guest have lived on.
    const starved = mayBeKilled(exit) && (await cgroup.oomKills()) > 0;
    const killedFor = this.#killedFor ?? (starved ? "out-of-memory" : undefined);
    await this.#try("kill what is left", () => cgroup.kill());
    await this.#try("remove the cgroup", () => cgroup.remove());
    await this.#try("remove the folder", async () => place.remove());
    const view = this.#view;
    if (view !== undefined) await this.#try("give back the bundle", async () => this.#deps.views.release(view));
    await this.#try("give back the network", async () => network?.release());
    this.#deps.spawner.forget(this.id);
    this.#deps.left(this);
    const { memoryMiB: limitMiB } = this.handle;
    this.#settle(explainEnd({ exit, killedFor, heapFull: this.#output.heapFull, limitMiB }));
  }

  /** What can't be removed now is found by the next `reap`. */
  async #try(what: string, work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#deps.log.error(`a sandbox is gone, but could not ${what}`, { sandbox: this.id, error });
    }
  }
}

/** The first process of a sandbox, a shell, tells a signal that ended its child in this way, and says so, but of these two. */
function asSignal(exit: ProcessExit, isSaid: boolean): ProcessExit {
  const signal = Object.entries(constants.signals).find(([, number]) => number + 128 === exit.code)?.[0];
  const isMeant = isSaid || signal === "SIGINT" || signal === "SIGPIPE";
  return signal === undefined || !isMeant ? exit : { code: null, signal };
}

/** Or nobody knows how it ended. */
function mayBeKilled({ code, signal }: ProcessExit): boolean {
  return signal === "SIGKILL" || (code === null && signal === null);
}
