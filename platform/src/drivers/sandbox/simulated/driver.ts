import { assert } from "#base/assert.ts";
import { type Clock, sleep } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Random } from "#base/random.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import type { GuestLoad } from "#contract/guest/link.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type {
  Bundle,
  Sandbox,
  SandboxCapabilities,
  SandboxDriver,
  SandboxHandle,
  SandboxSpec,
} from "#ports/sandbox/index.ts";
import { type Behaviour, draw, type Range } from "./behaviour.ts";
import { type GuestObserver, SimulatedGuest } from "./guest.ts";

export interface SimulatedHostDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
}

export interface SimulatedHostOptions {
  /** Guests listen at `<prefix><sandbox id>`. */
  readonly prefix: string;
  readonly startMs: Range;
  /** Chance that a start fails, from 0 to 1. */
  readonly startFails: number;
  readonly behaviourOf: (load: GuestLoad) => Behaviour;
  readonly observer?: GuestObserver;
  /** Puts a sandbox under a policy. Where there is none the driver does not claim `network`. */
  readonly network?: (sandbox: string, policy: NetworkPolicy) => Promise<void>;
}

/** What outlives a driver: a machine's guests. A driver dies with its agent, the host goes on. */
export interface SimulatedHost {
  readonly deps: SimulatedHostDeps;
  readonly options: SimulatedHostOptions;
  /** By sandbox id; those that are not gone. To be frozen, hung or killed by a test. */
  readonly guests: Map<string, SimulatedGuest>;
}

export function createSimulatedHost(deps: SimulatedHostDeps, options: SimulatedHostOptions): SimulatedHost {
  return { deps, options, guests: new Map() };
}

const CAPABILITIES: SandboxCapabilities = Object.freeze({
  isolation: "simulated",
  deliver: "bytes",
  freeze: true,
  network: false,
  limits: Object.freeze({ memory: "watched", cpu: "none", processes: "none" }),
});

/** Sandboxes that are not there: for tests and for the simulation of a cluster. */
export function createSimulatedDriver(host: SimulatedHost): SandboxDriver {
  const { clock, random } = host.deps;
  let pids = 1_000;
  const mine = new Set<string>();
  let closed = false;

  function guestFor(spec: SandboxSpec): SimulatedGuest {
    const { prefix, behaviourOf, observer } = host.options;
    const identity = { address: prefix + spec.id, runtime: spec.runtime.name, pid: pids++ };
    const guest = new SimulatedGuest(host.deps, { ...identity, behaviourOf, ...(observer && { observer }) });
    host.guests.set(spec.id, guest);
    void guest.gone.then(() => host.guests.delete(spec.id));
    return guest;
  }

  function follow(id: string, guest: SimulatedGuest): void {
    mine.add(id);
    void guest.gone.then(() => mine.delete(id));
  }

  async function remove(id: string): Promise<void> {
    await host.guests.get(id)?.die({ cause: "killed", detail: "was killed by SIGKILL" });
  }

  return {
    technology: "simulated",
    capabilities: { ...CAPABILITIES, network: host.options.network !== undefined },
    probe: async () => ({ works: true, detail: "simulated guests" }),
    async open(signal) {
      signal.throwIfAborted();
    },
    async close() {
      closed = true;
    },
    async start(spec) {
      await sleep(clock, draw(random, host.options.startMs));
      // Its agent is gone: nobody would hear of the guest.
      if (closed) throw new PlatformError("start-failed", "the driver was closed during the start");
      if (random.next() < host.options.startFails)
        throw new PlatformError(
          "start-failed",
          `the ${spec.runtime.name} guest could not be started: simulated failure`,
        );
      const guest = guestFor(spec);
      follow(spec.id, guest);
      await guest.open();
      const { id, memoryMiB, runtime } = spec;
      const handle = { version: 1, technology: "simulated", id, runtime: runtime.name, memoryMiB, state: {} } as const;
      return sandboxOf(handle, guest, host.options.network);
    },
    async recover(handle) {
      const guest = host.guests.get(handle.id);
      if (guest === undefined) return undefined;
      follow(handle.id, guest);
      return sandboxOf(handle, guest, host.options.network);
    },
    async reap(keep) {
      const kept = new Set(keep.map((handle) => handle.id));
      const rest = [...host.guests.keys()].filter((id) => !kept.has(id));
      for (const id of rest) await remove(id);
      return rest.length;
    },
    async endAll() {
      for (const id of mine) await remove(id);
    },
  };
}

function sandboxOf(handle: SandboxHandle, guest: SimulatedGuest, apply: SimulatedHostOptions["network"]): Sandbox {
  const restrict = async (network: NetworkPolicy) => {
    assert(apply !== undefined, "this host's sandboxes are not held to network policies");
    await apply(handle.id, network);
  };
  return {
    id: handle.id,
    handle,
    address: guest.options.address,
    gone: guest.gone,
    async deliver(bundle: Bundle, network: NetworkPolicy) {
      if (apply !== undefined || network.kind !== "internet") await restrict(network);
      return { kind: "bytes", bytes: bundle.bytes, digest: bundle.digest };
    },
    restrict,
    freeze: async () => guest.freeze(),
    thaw: async () => guest.thaw(),
    kill: (cause: GoneCause) => guest.die({ cause, detail: "killed by SIGKILL" }),
    onOutput() {},
    memoryMiB: async () => undefined,
  };
}
