import type { Clock } from "#base/clock.ts";
import type { Ids } from "#base/ids.ts";
import type { Listener, Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import type { Random } from "#base/random.ts";
import type { agentRequests, SandboxView } from "#contract/agent/link.ts";
import { memoryClassOf } from "#contract/config/memory-class.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError, toFailure } from "#contract/errors.ts";
import type { AnswerOf } from "#contract/link/message.ts";
import type { RevisionRef } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import type { PlacementRules } from "#domain/placement/sharing.ts";
import { admit, type OwnerRequest } from "#domain/sandbox/admit.ts";
import { type Grant, isPooled, LIFE_LIMITS, type SandboxLife } from "#domain/sandbox/life.ts";
import { isGeneric, restore } from "#domain/sandbox/record.ts";
import { NO_POOLS, type PoolKey, type PoolRules, poolName } from "#domain/scaling/pool-rules.ts";
import type { LaunchPlans } from "#ports/plans/plans.ts";
import type { RuntimeLaunch, Sandbox, SandboxDriver } from "#ports/sandbox/index.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import { createBundleNews } from "./bundle-news.ts";
import type { Bundles } from "./bundles.ts";
import type { Handles, SandboxRecord } from "./handles.ts";
import { createLaunches } from "./launches.ts";
import { requirePlace } from "./neighbours.ts";
import { type Asked, Owners } from "./owners.ts";
import { Pools } from "./pools.ts";
import { Room } from "./room.ts";
import { fingerprintOf, type Runtimes } from "./runtimes.ts";
import { TendedSandbox, type TendedSandboxOptions } from "./tended-sandbox.ts";

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
  /** Default: counted for nobody. */
  readonly metrics?: Metrics;
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
  /** Default: no pools. */
  readonly pools?: PoolRules;
  /** How many sandboxes may be starting for pools at once. */
  readonly poolStarts?: number;
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
  pools: NO_POOLS,
  poolStarts: 1,
  grantMs: 30_000,
  pingMs: 2_000,
  planMs: 2_000,
  logBytesPerSecond: 1 << 20,
  logEntriesPerSecond: 10_000,
} as const;

/** Of the capacity, what pools may have. */
const POOL_SHARE = 0.5;

/**
 * Creates, watches and removes the sandboxes of one host.
 *
 * Owns: which sandboxes there are, who holds each, and how much memory is promised. Does not own: what one sandbox goes through
 * (tended-sandbox.ts), what waits for requests (pools.ts), how owners are spoken to (owners.ts), invocations (it never sees one).
 * Invariants: 1. the memory of all sandboxes, those being removed included, never exceeds the capacity; 2. every sandbox has one
 * holder, and only its requests, under the newest epoch, are carried out; 3. nothing is reaped before everything with a handle
 * was recovered, and nothing is started before the rest was reaped.
 */
export function createAgent(deps: AgentDeps, given: AgentOptions): Agent {
  const options = { ...DEFAULTS, ...given };
  const launches = createLaunches({ plans: deps.launches, clock: deps.clock }, { patienceMs: options.planMs });
  const sandboxes = new Map<string, TendedSandbox>();
  const views = () => [...sandboxes.values()].map((sandbox) => sandbox.view);
  const room = new Room(
    { clock: deps.clock, promisedMiB, giveWay: (memoryMiB) => pools.giveWay(memoryMiB) },
    options.capacityMiB,
  );
  const pools = new Pools(
    { ...deps, metrics: deps.metrics ?? createMetrics(), start: startGeneric, room },
    { rules: hereOnly(options.pools, deps.runtimes), starts: options.poolStarts, share: POOL_SHARE },
  );
  const owners = new Owners(deps, {
    hello: (owner, epoch) => {
      grantAll(owner, epoch);
      const { name: agent, host, labels, grantMs } = options;
      const held = [...sandboxes.values()].filter(({ life }) => life.grant?.owner === owner);
      return { agent, host, labels, grantMs, sandboxes: held.map((sandbox) => sandbox.view) };
    },
    said: (owner) => {
      owners.tell(owner, "capacity", capacity());
      owners.tell(owner, "bundles", news.held());
    },
    heartbeat: grantAll,
    acquire,
    request,
    list: views,
  });
  const news = createBundleNews(deps, (held) => owners.tellAll("bundles", held));
  let listener: Listener | undefined;

  function promisedMiB(): number {
    return [...sandboxes.values()].reduce((sum, sandbox) => sum + sandbox.options.memoryMiB, 0);
  }

  /** What waits in a pool gives way. */
  function capacity() {
    const freeMiB = room.freeMiB + pools.memoryMiB;
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

  async function acquire(owner: string, asked: Asked): Promise<Acquired> {
    const { epoch, revision } = asked;
    const spec = await launches.get(revision);
    const runtime = requireRuntime(deps.runtimes, spec.runtime);
    requirePlace(options.placement, revision, sandboxes.values());
    const key = keyOf(spec);
    const taken = pools.take(key, grant(owner, epoch));
    if (taken !== undefined) owners.tellAll("capacity", capacity());
    if (taken?.kind === "hit") return acquired(taken.sandbox, "hit", asked, spec);
    fetchAhead(deps.bundles, revision, spec);
    if (taken !== undefined && (await comesUp(taken.sandbox))) return acquired(taken.sandbox, "miss", asked, spec);
    const sandbox = await room.enter(key.memoryMiB, () => {
      const started = start(key, runtime, grant(owner, epoch));
      pools.requested(started);
      return started;
    });
    await sandbox.started;
    return acquired(sandbox, "miss", asked, spec);
  }

  function acquired(sandbox: TendedSandbox, pooled: Acquired["pooled"], asked: Asked, spec: LaunchSpec): Acquired {
    if (asked.load === true) loadAcquired(sandbox, asked.revision, spec);
    return { sandbox: sandbox.id, address: sandbox.address, pooled };
  }

  /** Others may have come to this host while it started. */
  function loadAcquired(sandbox: TendedSandbox, revision: RevisionRef, spec: LaunchSpec): void {
    try {
      requirePlace(options.placement, revision, sandboxes.values());
    } catch (error) {
      sandbox.send({ kind: "remove", cause: "host", failure: toFailure(error) });
      throw error;
    }
    sandbox.load(revision, spec);
  }

  function start(key: PoolKey, runtime: RuntimeLaunch, held: Grant | undefined): TendedSandbox {
    const nowMs = deps.clock.monotonic();
    const phase = { name: "starting", sinceMs: nowMs, untilMs: nowMs + LIFE_LIMITS.startMs } as const;
    const launched = { id: deps.ids.next(), ...key, slots: 0, fingerprint: fingerprintOf(runtime) };
    const sandbox = tend(launched, { phase, grant: held });
    sandbox.start(runtime);
    return sandbox;
  }

  function startGeneric({ runtime, memoryMiB }: PoolKey): TendedSandbox {
    return start({ runtime, memoryMiB }, requireRuntime(deps.runtimes, runtime), undefined);
  }

  function tend(known: Tended, life: SandboxLife): TendedSandbox {
    const { pingMs, logBytesPerSecond, logEntriesPerSecond } = options;
    const moved = (sandbox: TendedSandbox) => pools.moved(sandbox);
    const sandbox = new TendedSandbox(
      { ...deps, launches, tell: owners.tell, moved, left },
      { ...known, pingMs, logBytesPerSecond, logEntriesPerSecond },
      life,
    );
    sandboxes.set(known.id, sandbox);
    owners.tellAll("capacity", capacity());
    return sandbox;
  }

  function left(sandbox: TendedSandbox): void {
    sandboxes.delete(sandbox.id);
    pools.left(sandbox);
    room.left();
    owners.tellAll("capacity", capacity());
  }

  async function request(owner: string, epoch: number, id: string, asked: OwnerRequest): Promise<void> {
    const sandbox = sandboxes.get(id);
    // Whoever wants it gone has what he wants.
    if (sandbox === undefined && (asked.kind === "release" || asked.kind === "drain")) return;
    if (sandbox === undefined) throw new PlatformError("not-found", `there is no sandbox ${id} on this host`);
    const admitted = admit(sandbox.life, owner, epoch, asked);
    if (admitted.kind === "refused") throw new PlatformError("conflict", `sandbox ${id}: ${admitted.reason}`);
    if (asked.kind === "freeze" && !deps.driver.capabilities.freeze)
      throw new PlatformError("request-invalid", `${deps.driver.technology} sandboxes can't be frozen`);
    if (asked.kind === "load") {
      const spec = await launches.get(asked.revision);
      requireSame(sandbox, spec);
      requirePlace(options.placement, asked.revision, sandboxes.values());
      return sandbox.load(asked.revision, spec);
    }
    sandbox.send(asked.kind === "release" ? { kind: "remove", cause: asked.cause, failure: undefined } : asked);
  }

  async function recoverAll(): Promise<void> {
    const recovered: { record: SandboxRecord; sandbox: Sandbox }[] = [];
    const records = deps.handles.load();
    for (const record of records.filter((found) => !isOutdated(found))) {
      const handle = { ...record.handle, version: 1 } as const;
      const sandbox = handle.technology === deps.driver.technology ? await deps.driver.recover(handle) : undefined;
      if (sandbox === undefined) deps.handles.remove(handle.id);
      else recovered.push({ record, sandbox });
    }
    const reaped = await deps.driver.reap(recovered.map(({ sandbox }) => sandbox.handle));
    // Not before: by what is in its folder the driver finds what is to be reaped.
    for (const record of records.filter(isOutdated)) deps.handles.remove(record.handle.id);
    for (const { record, sandbox } of recovered) {
      const { id, runtime, memoryMiB } = record.handle;
      const life = restore(record.life, deps.clock.monotonic(), options.grantMs);
      if (life.grant !== undefined) owners.saw(life.grant.owner, life.grant.epoch);
      const { slots, fingerprint } = record;
      const tended = tend({ id, runtime, memoryMiB, slots, fingerprint }, life);
      if (isPooled(life)) pools.adopt(tended);
      tended.attach(sandbox);
    }
    if (recovered.length + reaped > 0)
      deps.log.info("recovered the sandboxes of an earlier agent", { recovered: recovered.length, reaped });
  }

  /** Of a pool that is not there any more, or with a guest that would not be started any more. */
  function isOutdated({ handle, fingerprint, life }: SandboxRecord): boolean {
    if (!isGeneric(life)) return false;
    const runtime = deps.runtimes.get(handle.runtime);
    return runtime === undefined || fingerprint !== fingerprintOf(runtime) || !pools.has(handle);
  }

  return {
    async open(signal) {
      await deps.driver.open(signal);
      await recoverAll();
      signal.throwIfAborted();
      pools.open();
      listener = await deps.network.listen(options.address, ["agent"], (link) => owners.accept(link));
    },
    async close(leaving = "stay") {
      news.close();
      await listener?.close();
      pools.close();
      room.close();
      owners.close();
      await Promise.all([...sandboxes.values()].map((sandbox) => sandbox.leave()));
      sandboxes.clear();
      if (leaving === "end") {
        await deps.driver.endAll();
        for (const { handle } of deps.handles.load()) deps.handles.remove(handle.id);
      }
      await deps.driver.close();
    },
    get sandboxes() {
      return views();
    },
  };
}

type Acquired = AnswerOf<typeof agentRequests, "acquire">;
type Tended = Pick<TendedSandboxOptions, "id" | "runtime" | "memoryMiB" | "slots" | "fingerprint">;

/** Without those for runtimes that this host does not have. */
function hereOnly({ named, others }: PoolRules, runtimes: Runtimes): PoolRules {
  return { named: named.filter(({ runtime }) => runtimes.get(runtime) !== undefined), others };
}

function requireRuntime(runtimes: Runtimes, name: string): RuntimeLaunch {
  const runtime = runtimes.get(name);
  if (runtime !== undefined) return runtime;
  const there = runtimes.list().map((found) => found.name);
  throw new PlatformError("runtime-unknown", `no runtime ${name} on this host: there are ${there.join(", ")}`);
}

/** While the guest starts; a failure is told when the code is loaded. */
function fetchAhead(bundles: Bundles, { tenant }: RevisionRef, { bundle }: LaunchSpec): void {
  bundles.hold(tenant, bundle.digest as Digest).then(
    (held) => held.release(),
    () => {},
  );
}

/** One on its way to a pool may fail where one's own does not. */
function comesUp(sandbox: TendedSandbox): Promise<boolean> {
  return sandbox.started.then(
    () => true,
    () => false,
  );
}

function keyOf({ runtime, memoryMiB }: LaunchSpec): PoolKey {
  return { runtime, memoryMiB: memoryClassOf(memoryMiB) };
}

/** A sandbox was started for a runtime and a size; it serves any revision of these. */
function requireSame(sandbox: TendedSandbox, spec: LaunchSpec): void {
  const { runtime, memoryMiB } = sandbox.options;
  if (poolName(sandbox.options) === poolName(keyOf(spec))) return;
  const message = `sandbox ${sandbox.id} is ${runtime} with ${memoryMiB} MiB; the revision needs ${spec.runtime} with ${spec.memoryMiB} MiB`;
  throw new PlatformError("request-invalid", message);
}
