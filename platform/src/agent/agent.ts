import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Listener, Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { SandboxView } from "#contract/agent/link.ts";
import { PlatformError } from "#contract/errors.ts";
import type { RevisionRef } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { PlacementRules } from "#domain/placement/sharing.ts";
import { admit, type OwnerRequest } from "#domain/sandbox/admit.ts";
import { type Grant, LIFE_LIMITS, type SandboxLife } from "#domain/sandbox/life.ts";
import { restore } from "#domain/sandbox/record.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";
import type { Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { Bundles } from "./bundles.ts";
import type { Handles, SandboxRecord } from "./handles.ts";
import { createLaunches } from "./launches.ts";
import { requirePlace } from "./neighbours.ts";
import { Owners } from "./owners.ts";
import type { Runtimes } from "./runtimes.ts";
import { TendedSandbox } from "./tended-sandbox.ts";

export interface AgentDeps {
  readonly network: Network;
  readonly clock: Clock;
  readonly random: Random;
  readonly ids: Ids;
  readonly log: Log;
  readonly driver: SandboxDriver;
  readonly launches: LaunchPlans;
  readonly telemetry: Telemetry;
  readonly bundles: Bundles;
  readonly runtimes: Runtimes;
  readonly handles: Handles;
}

export interface AgentOptions {
  readonly name: string;
  readonly host: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Where owners dial. */
  readonly address: string;
  /** Memory that sandboxes may be promised, all together. */
  readonly capacityMiB: number;
  /** Who shares no host with others. */
  readonly placement?: PlacementRules;
  readonly grantMs?: number;
  readonly pingMs?: number;
  /** For a launch plan that is on its way. */
  readonly planMs?: number;
  readonly logBytesPerSecond?: number;
  readonly logEntriesPerSecond?: number;
}

export interface Agent {
  /** Resolves when owners are served, with the sandboxes of an earlier agent. */
  open(signal: AbortSignal): Promise<void>;
  /** Sandboxes stay, since the next agent recovers them; or end, where there will be none. */
  close(sandboxes?: "stay" | "end"): Promise<void>;
  /** As owners see them. */
  readonly sandboxes: readonly SandboxView[];
}

const DEFAULTS = {
  placement: {} as PlacementRules,
  grantMs: 30_000,
  pingMs: 2_000,
  planMs: 2_000,
  logBytesPerSecond: 1 << 20,
  logEntriesPerSecond: 10_000,
} as const;

/**
 * Creates, watches and removes the sandboxes of one host.
 *
 * Owns: which sandboxes there are, who holds each, and how much memory is promised. Does not own: what one sandbox goes through
 * (tended-sandbox.ts), how owners are spoken to (owners.ts), invocations (it never sees one).
 * Invariants: 1. the memory of all sandboxes, those being removed included, never exceeds the capacity; 2. every sandbox has one
 * holder, and only its requests, under the newest epoch, are carried out; 3. nothing is reaped before everything with a handle
 * was recovered, and nothing is started before the rest was reaped.
 */
export function createAgent(deps: AgentDeps, given: AgentOptions): Agent {
  const options = { ...DEFAULTS, ...given };
  const launches = createLaunches({ plans: deps.launches, clock: deps.clock }, { patienceMs: options.planMs });
  const sandboxes = new Map<string, TendedSandbox>();
  const views = () => [...sandboxes.values()].map((sandbox) => sandbox.view);
  const owners = new Owners(deps, {
    hello: (owner, epoch) => {
      grantAll(owner, epoch);
      const { name: agent, host, labels, grantMs } = options;
      return { agent, host, labels, grantMs, sandboxes: views() };
    },
    said: (owner) => {
      owners.tell(owner, "capacity", capacity());
      owners.tell(owner, "bundles", { digests: deps.bundles.digests().slice(0, 10_000) });
    },
    heartbeat: grantAll,
    acquire,
    request,
    list: views,
  });
  let listener: Listener | undefined;

  const promisedMiB = () => [...sandboxes.values()].reduce((sum, { options: { memoryMiB } }) => sum + memoryMiB, 0);

  function capacity() {
    const freeMiB = Math.max(0, options.capacityMiB - promisedMiB());
    return { memoryMiB: options.capacityMiB, freeMiB, sandboxes: sandboxes.size };
  }

  function grant(owner: string, epoch: number): Grant {
    return { owner, epoch, untilMs: deps.clock.monotonic() + options.grantMs };
  }

  function grantAll(owner: string, epoch: number): void {
    for (const sandbox of sandboxes.values()) {
      if (sandbox.life.grant?.owner === owner) sandbox.send({ kind: "grant", grant: grant(owner, epoch) });
    }
  }

  async function acquire(owner: string, epoch: number, revision: RevisionRef) {
    const spec = await launches.get(revision);
    const runtime = deps.runtimes.get(spec.runtime);
    if (runtime === undefined) {
      const there = deps.runtimes.list().map(({ name }) => name);
      throw new PlatformError(
        "runtime-unknown",
        `no runtime ${spec.runtime} on this host: there are ${there.join(", ")}`,
      );
    }
    requirePlace(options.placement, revision, sandboxes.values());
    requireRoom(spec.memoryMiB);
    const nowMs = deps.clock.monotonic();
    const phase = { name: "starting", sinceMs: nowMs, untilMs: nowMs + LIFE_LIMITS.startMs } as const;
    const sandbox = tend(deps.ids.next(), spec, { phase, grant: grant(owner, epoch) });
    await sandbox.start(runtime);
    return { sandbox: sandbox.id, address: sandbox.address, pooled: "miss" as const };
  }

  function requireRoom(memoryMiB: number): void {
    const { freeMiB } = capacity();
    if (memoryMiB <= freeMiB) return;
    const message = `no room for a sandbox of ${memoryMiB} MiB: ${freeMiB} of ${options.capacityMiB} MiB are free`;
    throw new PlatformError("no-capacity", message);
  }

  function tend(id: string, { runtime, memoryMiB, concurrency }: TendedAs, life: SandboxLife): TendedSandbox {
    const { pingMs, logBytesPerSecond, logEntriesPerSecond } = options;
    const sandbox = new TendedSandbox(
      { ...deps, launches, tell: owners.tell, left },
      { id, runtime, memoryMiB, slots: concurrency, pingMs, logBytesPerSecond, logEntriesPerSecond },
      life,
    );
    sandboxes.set(id, sandbox);
    owners.tellAll("capacity", capacity());
    return sandbox;
  }

  function left(sandbox: TendedSandbox): void {
    sandboxes.delete(sandbox.id);
    owners.tellAll("capacity", capacity());
  }

  async function request(owner: string, epoch: number, id: string, asked: OwnerRequest): Promise<void> {
    const sandbox = sandboxes.get(id);
    // Whoever wants it gone has what he wants.
    if (sandbox === undefined && (asked.kind === "release" || asked.kind === "drain")) return;
    if (sandbox === undefined) throw new PlatformError("not-found", `there is no sandbox ${id} on this host`);
    const admitted = admit(sandbox.life, owner, epoch, asked);
    if (admitted.kind === "refused") throw new PlatformError("conflict", `sandbox ${id}: ${admitted.reason}`);
    if (asked.kind === "load") {
      requireSame(sandbox, await launches.get(asked.revision));
      requirePlace(options.placement, asked.revision, sandboxes.values());
    }
    sandbox.send(asked.kind === "release" ? { kind: "remove", cause: asked.cause, failure: undefined } : asked);
  }

  async function recoverAll(): Promise<void> {
    const recovered: { record: SandboxRecord; sandbox: Sandbox }[] = [];
    for (const record of deps.handles.load()) {
      const handle = { ...record.handle, version: 1 } as const;
      const sandbox = handle.technology === deps.driver.technology ? await deps.driver.recover(handle) : undefined;
      if (sandbox === undefined) deps.handles.remove(handle.id);
      else recovered.push({ record, sandbox });
    }
    const reaped = await deps.driver.reap(recovered.map(({ sandbox }) => sandbox.handle));
    for (const { record, sandbox } of recovered) {
      const { runtime, memoryMiB } = record.handle;
      const life = restore(record.life, deps.clock.monotonic(), options.grantMs);
      if (life.grant !== undefined) owners.saw(life.grant.owner, life.grant.epoch);
      tend(sandbox.id, { runtime, memoryMiB, concurrency: record.slots }, life).attach(sandbox);
    }
    if (recovered.length + reaped > 0)
      deps.log.info("recovered the sandboxes of an earlier agent", { recovered: recovered.length, reaped });
  }

  return {
    async open(signal) {
      await deps.driver.open(signal);
      await recoverAll();
      signal.throwIfAborted();
      listener = await deps.network.listen(options.address, ["agent"], (link) => owners.accept(link));
    },
    async close(leaving = "stay") {
      await listener?.close();
      owners.close();
      await Promise.all([...sandboxes.values()].map((sandbox) => sandbox.leave()));
      sandboxes.clear();
      if (leaving === "end") await deps.driver.endAll();
      await deps.driver.close();
    },
    get sandboxes() {
      return views();
    },
  };
}

type TendedAs = Pick<LaunchSpec, "runtime" | "memoryMiB" | "concurrency">;

/** A sandbox was started for a runtime and a size; it serves any revision of these. */
function requireSame(sandbox: TendedSandbox, spec: LaunchSpec): void {
  const { runtime, memoryMiB } = sandbox.options;
  if (spec.runtime === runtime && spec.memoryMiB === memoryMiB) return;
  const message = `sandbox ${sandbox.id} is ${runtime} with ${memoryMiB} MiB; the revision needs ${spec.runtime} with ${spec.memoryMiB} MiB`;
  throw new PlatformError("request-invalid", message);
}
