import { assert } from "#base/assert.ts";
import { backoffMs } from "#base/backoff.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Counter, Metrics } from "#base/metrics.ts";
import type { Random } from "#base/random.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import { type Grant, isPooled, type PhaseName } from "#domain/sandbox/life.ts";
import { type PoolKey, type PoolRules, poolName, ruleOf } from "#domain/scaling/pool-rules.ts";
import { asked, type Demand, NO_DEMAND, neediest, type PoolRule, poolSizes } from "#domain/scaling/pool-size.ts";
import { meterPool, type PoolMeters } from "./pool-meters.ts";
import type { Room } from "./room.ts";
import type { TendedSandbox } from "./tended-sandbox.ts";

export interface PoolsDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** Begins to start a generic sandbox of a runtime that the host has. */
  readonly start: (key: PoolKey) => TendedSandbox;
  readonly room: Pick<Room, "capacityMiB" | "freeMiB" | "waitedFor">;
}

export interface PoolsOptions {
  readonly rules: PoolRules;
  /** How many of a pool may be starting at once, on the whole host. */
  readonly starts: number;
  /** Of the host's capacity, what all pools together may have. */
  readonly share: number;
}

export interface Taken {
  readonly sandbox: TendedSandbox;
  /** It waited in the pool, or is still starting. */
  readonly kind: "hit" | "claimed";
}

interface Pool extends PoolKey {
  readonly rule: PoolRule;
  readonly members: Map<TendedSandbox, Member>;
  readonly meters: PoolMeters;
  demand: Demand;
  /** What a start takes, lately. */
  startMs: number;
  failures: number;
  failedMs: number;
  blockedUntilMs: number;
}

interface Member {
  /** Started by this agent for the pool, and not yet counted as such. */
  starting: boolean;
  /** Its guest does not answer, as long as it does not. */
  silentSinceMs: number | undefined;
}

/** Sizes fall with time, and starts are tried again. */
const LOOK_MS = 1_000;
/** A request keeps starts of the pools waiting until its sandbox is ready, but for no longer than this. */
const REQUEST_MS = 1_000;
/** And then for this long: what it was started for comes first. */
const REST_MS = 15;
/** A guest without code has nothing to be busy with; a host that is overloaded may have. */
const SILENT_MS = 10_000;
const RETRY = { firstMs: 500, maximumMs: 60_000 };
const FIRST_START_MS = 100;
/** On their way to ready for somebody. */
const SETTLING: readonly PhaseName[] = ["starting", "pending", "loading", "initialising"];

/**
 * The pools of one host: generic sandboxes, started and waiting for whoever needs one.
 *
 * Owns: which sandboxes wait, when more are started and when some go. Does not own: what sizes are right (domain/scaling), what
 * a sandbox goes through (tended-sandbox.ts), memory (room.ts).
 * Invariants: 1. a member is held by nobody and bound to nothing, and what was taken never comes back; 2. no start of a pool
 * begins while a request's start is under way, or has just ended; 3. starts of pools never take the last room, and what waits
 * gives way to requests.
 */
export class Pools {
  readonly #deps: PoolsDeps;
  readonly #options: PoolsOptions;
  readonly #pools = new Map<string, Pool>();
  readonly #poolOf = new Map<TendedSandbox, Pool>();
  /** Sent away; their memory is on its way back. */
  readonly #leaving = new Set<TendedSandbox>();
  /** Of requests, until when they keep the pools waiting. */
  readonly #settling = new Map<TendedSandbox, number>();
  #timer: Timer | undefined;
  #open = false;
  #looking = false;

  constructor(deps: PoolsDeps, options: PoolsOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  open(): void {
    const { named, others } = this.#options.rules;
    if (named.length === 0 && others.max === 0) return;
    this.#open = true;
    for (const key of named) this.#pool(key);
    const leastMiB = named.reduce((sum, { min, memoryMiB }) => sum + min * memoryMiB, 0);
    const mostMiB = this.#mostMiB;
    if (leastMiB > mostMiB)
      this.#deps.log.warn("the pools stay below their minimum on this host", { leastMiB, mostMiB });
    this.#lookLater();
    this.#soon();
  }

  close(): void {
    this.#open = false;
    if (this.#timer !== undefined) this.#deps.clock.cancel(this.#timer);
    this.#timer = undefined;
  }

  has(key: PoolKey): boolean {
    return ruleOf(this.#options.rules, key).max > 0;
  }

  /** Of an earlier agent. */
  adopt(sandbox: TendedSandbox): void {
    this.#join(this.#pool(sandbox.options)!, sandbox, false);
  }

  /** One that waits, or else one that is on its way. It is held from now on; the request counts as demand in any case. */
  take(key: PoolKey, grant: Grant): Taken | undefined {
    const pool = this.#pool(key);
    if (pool === undefined) return undefined;
    pool.demand = asked(pool.demand, pool.rule, pool.startMs, this.#deps.clock.monotonic());
    const members = [...pool.members.keys()];
    const hit = members.find((sandbox) => sandbox.life.phase.name === "pending" && sandbox.answers);
    const sandbox = hit ?? members.find((member) => pool.members.get(member)?.starting);
    const kind = hit === undefined ? "claimed" : "hit";
    const counted: Counter = pool.meters.asked[sandbox === undefined ? "miss" : kind];
    counted.value++;
    this.#soon();
    if (sandbox === undefined) return undefined;
    assert(isPooled(sandbox.life), `sandbox ${sandbox.id} waits in a pool, but is ${sandbox.life.phase.name} or held`);
    this.#forget(sandbox);
    if (hit !== undefined) pool.failures = 0;
    this.requested(sandbox);
    sandbox.send({ kind: "grant", grant });
    return { sandbox, kind };
  }

  /** A request has got it; until it is ready nothing may take the processor from it. */
  requested(sandbox: TendedSandbox): void {
    this.#settling.set(sandbox, this.#deps.clock.monotonic() + REQUEST_MS);
  }

  moved(sandbox: TendedSandbox): void {
    const { phase } = sandbox.life;
    if (!SETTLING.includes(phase.name) && this.#settling.has(sandbox)) this.#rest(sandbox);
    const pool = this.#poolOf.get(sandbox);
    const member = pool?.members.get(sandbox);
    if (pool !== undefined && member !== undefined) {
      if (phase.name === "ending") {
        this.#lost(pool, sandbox);
        this.#leaving.add(sandbox);
      } else if (phase.name === "pending" && member.starting) {
        member.starting = false;
        pool.startMs = pool.startMs * 0.7 + phase.startMs * 0.3;
        pool.meters.starts.ok.value++;
      }
    }
    this.#soon();
  }

  #rest(sandbox: TendedSandbox): void {
    const { clock } = this.#deps;
    this.#settling.set(sandbox, clock.monotonic() + REST_MS);
    clock.after(REST_MS, () => this.#soon());
  }

  left(sandbox: TendedSandbox): void {
    this.#leaving.delete(sandbox);
    this.#settling.delete(sandbox);
    const pool = this.#poolOf.get(sandbox);
    if (pool !== undefined) this.#lost(pool, sandbox);
    this.#soon();
  }

  /** Members go until so much memory is on its way back. False, and none goes, where that is not enough. */
  giveWay(memoryMiB: number): boolean {
    let comingMiB = memoryOf(this.#leaving);
    if (comingMiB + memoryOf(this.#poolOf.keys()) < memoryMiB) return false;
    while (comingMiB < memoryMiB) {
      const spare = ({ members, rule }: Pool) => members.size - rule.min;
      const full = [...this.#pools.values()].filter(({ members }) => members.size > 0);
      const pool = full.reduce((most, one) => (spare(one) > spare(most) ? one : most));
      const [sandbox] = pool.members.keys();
      this.#remove(sandbox!, "stopped");
      comingMiB += pool.memoryMiB;
    }
    return true;
  }

  /** What the members are promised; they give way, so it is as good as free. */
  get memoryMiB(): number {
    return memoryOf(this.#poolOf.keys());
  }

  #pool(key: PoolKey): Pool | undefined {
    const known = this.#pools.get(poolName(key));
    if (known !== undefined || !this.has(key)) return known;
    const { runtime, memoryMiB } = key;
    const rule = ruleOf(this.#options.rules, key);
    const members: Pool["members"] = new Map();
    const count = (starting: boolean) => [...members.values()].filter((member) => member.starting === starting).length;
    const meters = meterPool(this.#deps.metrics, key, {
      waiting: () => count(false),
      starting: () => count(true),
      wanted: () => poolSizes(pool.demand, rule, pool.startMs, this.#deps.clock.monotonic()).fill,
    });
    const pool: Pool = {
      ...{ runtime, memoryMiB, rule, members, meters, demand: NO_DEMAND, startMs: FIRST_START_MS },
      ...{ failures: 0, failedMs: 0, blockedUntilMs: 0 },
    };
    this.#pools.set(poolName(key), pool);
    return pool;
  }

  #join(pool: Pool, sandbox: TendedSandbox, starting: boolean): void {
    pool.members.set(sandbox, { starting, silentSinceMs: undefined });
    this.#poolOf.set(sandbox, pool);
  }

  #forget(sandbox: TendedSandbox): void {
    this.#poolOf.get(sandbox)?.members.delete(sandbox);
    this.#poolOf.delete(sandbox);
  }

  #remove(sandbox: TendedSandbox, cause: GoneCause): void {
    this.#forget(sandbox);
    this.#leaving.add(sandbox);
    sandbox.send({ kind: "remove", cause, failure: undefined });
  }

  /** It ended, and nobody wanted that. What ends soon after its start would be started for ever: each time it waits longer. */
  #lost(pool: Pool, sandbox: TendedSandbox): void {
    const nowMs = this.#deps.clock.monotonic();
    const { phase } = sandbox.life;
    if (pool.members.get(sandbox)?.starting) pool.meters.starts.failed.value++;
    this.#forget(sandbox);
    if (nowMs - pool.failedMs > 2 * RETRY.maximumMs) pool.failures = 0;
    const pauseMs = Math.round(backoffMs(this.#deps.random, RETRY, pool.failures));
    const failure = phase.name === "ending" || phase.name === "gone" ? phase.failure : undefined;
    const { runtime, memoryMiB } = pool;
    const fields = { sandbox: sandbox.id, runtime, memoryMiB, code: failure?.code, reason: failure?.message, pauseMs };
    if (pool.failures === 0) this.#deps.log.warn("the pool lost a sandbox; further ones are told at debug", fields);
    else this.#deps.log.debug("the pool lost a sandbox", fields);
    pool.failures++;
    pool.failedMs = nowMs;
    pool.blockedUntilMs = nowMs + pauseMs;
  }

  /** Once, after everything of this turn has happened. */
  #soon(): void {
    if (!this.#open || this.#looking) return;
    this.#looking = true;
    queueMicrotask(() => {
      this.#looking = false;
      if (this.#open) this.#look();
    });
  }

  #lookLater(): void {
    this.#timer = this.#deps.clock.after(LOOK_MS, () => {
      this.#lookLater();
      this.#look();
    });
  }

  #look(): void {
    const nowMs = this.#deps.clock.monotonic();
    for (const pool of this.#pools.values()) {
      this.#endSilent(pool, nowMs);
      const { keep } = poolSizes(pool.demand, pool.rule, pool.startMs, nowMs);
      const waiting = [...pool.members].filter(([, { starting }]) => !starting);
      for (const [sandbox] of waiting.slice(0, Math.max(0, pool.members.size - keep))) this.#remove(sandbox, "idle");
    }
    for (const [sandbox, untilMs] of this.#settling) if (nowMs >= untilMs) this.#settling.delete(sandbox);
    while (this.#startOne(nowMs));
  }

  #endSilent(pool: Pool, nowMs: number): void {
    for (const [sandbox, member] of pool.members) {
      const silent = sandbox.life.phase.name === "pending" && !sandbox.answers;
      member.silentSinceMs = silent ? (member.silentSinceMs ?? nowMs) : undefined;
      if (silent && nowMs - member.silentSinceMs! >= SILENT_MS) this.#remove(sandbox, "host");
    }
  }

  #startOne(nowMs: number): boolean {
    if (this.#settling.size > 0 || this.#deps.room.waitedFor) return false;
    const members = [...this.#pools.values()].flatMap((pool) => [...pool.members.values()]);
    if (members.filter(({ starting }) => starting).length >= this.#options.starts) return false;
    const able = [...this.#pools.values()].filter((pool) => nowMs >= pool.blockedUntilMs && this.#hasRoom(pool));
    const chosen = neediest(
      able.map((pool) => ({
        pool,
        size: pool.members.size,
        sizes: poolSizes(pool.demand, pool.rule, pool.startMs, nowMs),
      })),
    );
    if (chosen === undefined) return false;
    this.#join(chosen.pool, this.#deps.start(chosen.pool), true);
    return true;
  }

  /** One of its size must still find room afterwards. */
  #hasRoom({ memoryMiB }: Pool): boolean {
    const pooledMiB = this.memoryMiB + memoryOf(this.#leaving);
    return pooledMiB + memoryMiB <= this.#mostMiB && this.#deps.room.freeMiB >= 2 * memoryMiB;
  }

  get #mostMiB(): number {
    return this.#deps.room.capacityMiB * this.#options.share;
  }
}

function memoryOf(sandboxes: Iterable<TendedSandbox>): number {
  let sum = 0;
  for (const { options } of sandboxes) sum += options.memoryMiB;
  return sum;
}
