import type { Log } from "#base/log.ts";
import type { Digest } from "#contract/digest.ts";
import { type Failure, PlatformError } from "#contract/errors.ts";
import type { GuestLoad } from "#contract/guest/link.ts";
import type { RevisionRef } from "#contract/names.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";
import type { Bundles, HeldBundle } from "./bundles.ts";
import type { Launches } from "./launches.ts";

export interface ResidentRevisionDeps {
  readonly log: Log;
  readonly driver: SandboxDriver;
  readonly launches: Launches;
  readonly bundles: Bundles;
}

export interface ResidentRevisionEvents {
  /** What runs is to be put under it. */
  restrict(network: NetworkPolicy): void;
  /** What runs can't be put under the network it has now: it would go on under another one. */
  unenforced(failure: Failure): void;
}

export interface Delivered {
  readonly spec: LaunchSpec;
  readonly bundle: HeldBundle;
  readonly code: GuestLoad["code"];
}

/**
 * The revision in one sandbox: what it reads, and what it may reach.
 *
 * Owns: the bundle, held on this host for as long as the sandbox may read it; the newest network policy known, which is its
 * app's. Does not own: the sandbox (tended-sandbox.ts), bundles (bundle-cache.ts), plans (launches.ts).
 * Invariants: 1. the bundle is held before the code is delivered, and until `close`; 2. a policy that comes while the code is
 * on its way is the one it is delivered under; 3. after `close` nothing is held, and nothing told.
 */
export class ResidentRevision {
  readonly #deps: ResidentRevisionDeps;
  readonly #events: ResidentRevisionEvents;
  #revision: RevisionRef | undefined;
  #bundle: HeldBundle | undefined;
  /** Newer than the one in the plan that it was loaded by. */
  #network: NetworkPolicy | undefined;
  #unfollow: (() => void) | undefined;
  #closed = false;

  constructor(deps: ResidentRevisionDeps, events: ResidentRevisionEvents) {
    this.#deps = deps;
    this.#events = events;
  }

  /** From its delivery on, or its adoption. */
  get revision(): RevisionRef | undefined {
    return this.#revision;
  }

  /** Also of one that was adopted, where its guest still waits for the code. @throws PlatformError */
  async deliver(revision: RevisionRef, sandbox: Sandbox): Promise<Delivered> {
    this.#follow(revision);
    const spec = await this.#deps.launches.get(revision);
    requireNoSecrets(spec);
    const bundle = await this.#hold(revision, spec);
    const network = this.#network ?? spec.network;
    const failure = this.#unenforced(network);
    if (failure !== undefined) throw new PlatformError(failure.code, failure.message);
    return { spec, bundle, code: await sandbox.deliver(bundle, network) };
  }

  /** Of an earlier agent. What it reads is here, but where that agent was still fetching it. Never rejects. */
  async adopt(revision: RevisionRef): Promise<void> {
    this.#follow(revision);
    try {
      const spec = await this.#deps.launches.get(revision);
      // It may have changed while there was no agent.
      this.#restrict(this.#network ?? spec.network);
      await this.#hold(revision, spec);
    } catch (error) {
      this.#deps.log.warn("its bundle could not be held again", { error });
    }
  }

  /** Works twice. */
  close(): void {
    this.#closed = true;
    this.#unfollow?.();
    this.#bundle?.release();
  }

  /** The network alone changes of a revision: its app's. */
  #follow(revision: RevisionRef): void {
    this.#revision = revision;
    this.#unfollow ??= this.#deps.launches.follow(revision, ({ network }) => {
      this.#network = network;
      this.#restrict(network);
    });
  }

  async #hold({ tenant }: RevisionRef, spec: LaunchSpec): Promise<HeldBundle> {
    if (this.#bundle !== undefined) return this.#bundle;
    const bundle = await this.#deps.bundles.hold(tenant, spec.bundle.digest as Digest);
    // Meanwhile the sandbox may have gone, or it was held by another way here.
    if (this.#closed || this.#bundle !== undefined) bundle.release();
    this.#bundle ??= bundle;
    return this.#bundle;
  }

  #restrict(network: NetworkPolicy): void {
    if (this.#closed) return;
    const failure = this.#unenforced(network);
    if (failure !== undefined) this.#events.unenforced(failure);
    else if (this.#deps.driver.capabilities.network) this.#events.restrict(network);
  }

  #unenforced(network: NetworkPolicy): Failure | undefined {
    const { capabilities, technology } = this.#deps.driver;
    if (capabilities.network || network.kind === "internet") return undefined;
    const wanted = `the app's network in colibri.yaml is "${network.kind}", and ${technology} sandboxes can't be held to it`;
    return {
      code: "network-unenforced",
      message: `${wanted}: run the platform with container sandboxes (COLIBRI_SANDBOX=container), or set network: internet and deploy again`,
    };
  }
}

function requireNoSecrets({ sealedSecrets }: LaunchSpec): void {
  if (sealedSecrets.length === 0) return;
  const message = "sealed secrets can't be opened by this version: remove them and deploy again";
  throw new PlatformError("load-failed", message);
}
