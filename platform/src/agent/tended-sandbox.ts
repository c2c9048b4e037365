import { assertNever } from "#base/assert.ts";
import { type Clock, roundToMicroseconds, sleep, type Timer } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log, LogFields } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { AgentEvents, SandboxView } from "#contract/agent/link.ts";
import { PlatformError, toFailure } from "#contract/errors.ts";
import type { GuestFailed, GuestLoad } from "#contract/guest/link.ts";
import { type RevisionRef, revisionKey } from "#contract/names.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import {
  boundOf,
  deadline,
  type LifeEffect,
  type LifeEvent,
  type Phase,
  type PhaseName,
  type SandboxLife,
  stateOf,
} from "#domain/sandbox/life.ts";
import { recordOf } from "#domain/sandbox/record.ts";
import { step } from "#domain/sandbox/step.ts";
import type { RuntimeLaunch, Sandbox, SandboxDriver, SandboxExit } from "#ports/sandbox/index.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { Bundles } from "./bundles.ts";
import { failureOf, type Stage } from "./failure.ts";
import { GuestControl, initOf } from "./guest-control.ts";
import { GuestLogs } from "./guest-logs.ts";
import type { Handles } from "./handles.ts";
import type { Launches } from "./launches.ts";
import { ResidentRevision } from "./resident-revision.ts";

export interface TendedSandboxDeps {
  readonly clock: Clock;
  readonly network: Network;
  readonly random: Random;
  readonly log: Log;
  readonly driver: SandboxDriver;
  readonly launches: Launches;
  readonly bundles: Bundles;
  readonly telemetry: Telemetry;
  readonly handles: Handles;
  readonly tell: <K extends keyof AgentEvents>(owner: string, name: K, event: AgentEvents[K]) => void;
  /** It is in another phase, and what that causes has been done. */
  readonly moved: (sandbox: TendedSandbox) => void;
  /** Nothing of it is left. */
  readonly left: (sandbox: TendedSandbox) => void;
}

export interface TendedSandboxOptions {
  readonly id: string;
  readonly runtime: string;
  readonly memoryMiB: number;
  /** Of an earlier agent; otherwise 0: the revision that is loaded brings them. */
  readonly slots: number;
  /** Of the launch it was started with (runtimes.ts). */
  readonly fingerprint: string | undefined;
  readonly pingMs: number;
  readonly logBytesPerSecond: number;
  readonly logEntriesPerSecond: number;
}

/** What a dead guest had sent is heard for at most this long before its end is told. */
const LAST_WORDS_MS = 250;
/** After the first invocations, which wait for the sandbox now. */
const PERSIST_LATER_MS = 50;
const STDERR_TAIL = 4 * 1024;
/** On the way to something that is told, or the agent's own affair. */
const PASSING: readonly PhaseName[] = ["pending", "loading", "initialising", "ending"];
/** Beyond the function's own init timeout, for the code to be read and its top level to run. */
const LOAD_EXTRA_MS = 5_000;

/**
 * One sandbox and everything the agent does for it: the one place where its life (domain/sandbox) is stepped and the effects
 * are performed.
 *
 * Owns: the life, the driver's sandbox, the control stream, its logs. Does not own: who may ask (agent.ts), its bundle and its
 * network policy (resident-revision.ts).
 * Invariants: 1. `send` is the only writer of `life`, and effects are performed in order; 2. `left` is called once, after the
 * driver says that nothing is left; 3. after `leave` (the agent closes) nothing more is done to the sandbox.
 */
export class TendedSandbox {
  readonly options: TendedSandboxOptions;
  readonly #deps: TendedSandboxDeps;
  readonly #log: Log;
  readonly #started = Promise.withResolvers<void>();
  readonly #resident: ResidentRevision;
  #life: SandboxLife;
  #sandbox: Sandbox | undefined;
  #control: GuestControl | undefined;
  #logs: GuestLogs | undefined;
  #slots: number;
  #events: LifeEvent[] = [];
  #stepping = false;
  /** Settles with the last freeze or thaw that was ordered. */
  #driven: Promise<void> = Promise.resolve();
  #timer: { readonly at: number; readonly timer: Timer } | undefined;
  /** Counts loads begun: an older one that is still fetching must not send. */
  #loads = 0;
  #stderr = "";
  #left = false;
  /** Something is not written down yet. */
  #persistLater: Timer | undefined;
  /** Since when it is in its phase. */
  #sinceMs: number;

  constructor(deps: TendedSandboxDeps, options: TendedSandboxOptions, life: SandboxLife) {
    this.#deps = deps;
    this.options = options;
    this.#life = life;
    this.#slots = options.slots;
    this.#sinceMs = deps.clock.monotonic();
    this.#log = deps.log.with({ sandbox: options.id });
    this.#resident = this.#makeResident();
    this.#started.promise.catch(() => {});
  }

  get id(): string {
    return this.options.id;
  }
  get life(): SandboxLife {
    return this.#life;
  }
  /** Whose code it holds, until nothing of it is left. */
  get resident(): RevisionRef | undefined {
    return boundOf(this.#life.phase) ?? this.#resident.revision;
  }
  get address(): string {
    return this.#sandbox?.address ?? "";
  }
  get view(): SandboxView {
    const { id, runtime, memoryMiB } = this.options;
    const { phase, grant } = this.#life;
    const bound = boundOf(phase);
    const view = { sandbox: id, address: this.address, state: stateOf(phase), runtime, memoryMiB, slots: this.#slots };
    return { ...view, epoch: grant?.epoch ?? 0, ...(bound !== undefined && { bound }) };
  }

  /** Its guest could take code now, as far as it is known. */
  get answers(): boolean {
    return this.#control?.answers === true;
  }
  /** Resolves when the guest has answered. Rejects with a PlatformError that says why it will not. */
  get started(): Promise<void> {
    return this.#started.promise;
  }

  start(runtime: RuntimeLaunch): void {
    const { id, memoryMiB } = this.options;
    this.#arm();
    this.#deps.driver.start({ id, runtime, memoryMiB }).then(
      (sandbox) => this.attach(sandbox),
      (error) => this.send({ kind: "exited", cause: "start-failed", failure: toFailure(error) }),
    );
  }

  /** From here on it is tended; also when it comes from an earlier agent. */
  attach(sandbox: Sandbox): void {
    if (this.#left) return;
    this.#sandbox = sandbox;
    void sandbox.gone.then((exit) => this.#exited(exit));
    sandbox.onOutput((stream, text) => this.#output(stream, text));
    const { phase } = this.#life;
    if (phase.name === "ending") return void this.#perform({ kind: "kill", cause: phase.cause });
    this.#openLogs();
    this.#perform({ kind: "persist" });
    this.#driveAgain(phase);
    this.#control = this.#makeControl(sandbox.address);
    this.#control.pause(phase.name === "frozen");
    this.#control.open();
    this.#arm();
    const revision = boundOf(phase);
    if (revision !== undefined) void this.#resident.adopt(revision);
  }

  send(event: LifeEvent): void {
    this.#events.push(event);
    if (this.#stepping) return;
    this.#stepping = true;
    try {
      for (let next = this.#events.shift(); next !== undefined; next = this.#events.shift()) {
        if (this.#left) continue;
        const before = this.#life;
        const { state, effects } = step(before, next, this.#deps.clock.monotonic());
        this.#life = state;
        for (const effect of effects) this.#perform(effect);
        if (state.phase.name !== before.phase.name) this.#moved(before.phase);
      }
    } finally {
      this.#stepping = false;
    }
    this.#arm();
  }

  /** Asked by its owner, of a revision that it fits. */
  load(revision: RevisionRef, spec: LaunchSpec): void {
    this.#slots = spec.concurrency;
    this.send({ kind: "load", revision, initBudgetMs: spec.initTimeoutMs });
  }

  /** The agent closes; the sandbox stays. */
  async leave(): Promise<void> {
    this.#left = true;
    this.#disarm();
    this.#resident.close();
    this.#persistNoLater();
    this.#started.reject(new PlatformError("unavailable", "the agent is closing"));
    await this.#control?.close();
  }

  /** Logged with how long it was in the phase that it comes from. */
  #moved({ name: from }: Phase): void {
    const { phase, grant } = this.#life;
    const nowMs = this.#deps.clock.monotonic();
    const fromMs = roundToMicroseconds(nowMs - this.#sinceMs);
    this.#sinceMs = nowMs;
    const { runtime, memoryMiB } = this.options;
    const fields = { from, fromMs, runtime, memoryMiB, ...boundOf(phase), ...factsOf(phase, from) };
    if (grant === undefined || PASSING.includes(phase.name)) this.#log.debug(`sandbox is ${phase.name}`, fields);
    else this.#log.info(`sandbox is ${phase.name}`, fields);
    this.#deps.moved(this);
  }

  #perform(effect: LifeEffect): void {
    switch (effect.kind) {
      case "persist":
        return this.#persist();
      case "persist-later":
        this.#persistLater ??= this.#deps.clock.after(PERSIST_LATER_MS, () => this.#persist());
        return;
      case "started":
        return this.#started.resolve();
      case "load":
        return void this.#load(effect.revision);
      case "init":
        return this.#control?.init(effect.budgetMs);
      case "freeze":
        this.#control?.pause(true);
        return this.#driveInTurn((sandbox) => sandbox.freeze());
      case "thaw":
        this.#control?.pause(false);
        return this.#driveInTurn((sandbox) => sandbox.thaw());
      case "drain":
        return this.#control?.drain(effect.graceMs);
      case "kill":
        return void this.#drive((sandbox) => sandbox.kill(effect.cause));
      case "tell-ready":
        return this.#tell("ready", { sandbox: this.id, ...effect.steps });
      case "tell-failed":
        return this.#tell("failed", { sandbox: this.id, failure: effect.failure });
      case "tell-gone":
        return this.#gone(effect);
      default:
        return assertNever(effect, "effect on a sandbox");
    }
  }

  #tell<K extends "ready" | "failed" | "gone" | "health">(name: K, event: AgentEvents[K]): void {
    const owner = this.#life.grant?.owner;
    if (owner !== undefined) this.#deps.tell(owner, name, event);
  }

  /** A thaw that overtook a freeze would leave it frozen. */
  #driveInTurn(action: (sandbox: Sandbox) => Promise<void>): void {
    this.#driven = this.#driven.then(() => this.#drive(action));
  }

  /** Of an earlier agent, which may have died between writing down a freeze or a thaw and doing it. */
  #driveAgain({ name }: Phase): void {
    if (name === "frozen") this.#driveInTurn((sandbox) => sandbox.freeze());
    if (name === "ready" || name === "draining") this.#driveInTurn((sandbox) => sandbox.thaw());
  }

  /** Never rejects. */
  async #drive(action: (sandbox: Sandbox) => Promise<void>): Promise<void> {
    if (this.#sandbox === undefined) return;
    try {
      await action(this.#sandbox);
    } catch (error) {
      this.#log.error("the driver failed", { error });
      const failure = {
        code: "sandbox-lost",
        message: `the host could not control it: ${toFailure(error).message}`,
      } as const;
      this.send({ kind: "remove", cause: "host", failure });
    }
  }

  #persist(): void {
    this.#persistNoLater();
    const life = recordOf(this.#life);
    if (this.#sandbox === undefined || life === undefined) return;
    try {
      const { fingerprint } = this.options;
      this.#deps.handles.save({ version: 1, handle: this.#sandbox.handle, fingerprint, slots: this.#slots, life });
    } catch (error) {
      // A full disk: it goes on serving, but the next agent will know it as it was last written, or not at all and remove it.
      this.#log.error("the sandbox could not be written down", { error });
    }
  }

  #gone({ cause, failure }: Extract<LifeEffect, { kind: "tell-gone" }>): void {
    this.#left = true;
    this.#disarm();
    this.#persistNoLater();
    const { code, message } = failure ?? { code: "start-failed", message: `the sandbox was removed: ${cause}` };
    this.#started.reject(new PlatformError(code, message));
    this.#resident.close();
    this.#logs?.close();
    this.#deps.handles.remove(this.id);
    void this.#control?.close();
    this.#tell("gone", { sandbox: this.id, cause, ...(failure !== undefined && { failure }) });
    this.#deps.left(this);
  }

  async #exited(exit: SandboxExit): Promise<void> {
    await Promise.race([this.#control?.ended, sleep(this.#deps.clock, LAST_WORDS_MS)]);
    const failure = failureOf(exit, stageOf(this.#life.phase), this.#stderr);
    this.send({ kind: "exited", cause: exit.cause, failure });
  }

  async #load(revision: RevisionRef): Promise<void> {
    const load = ++this.#loads;
    try {
      const { spec, bundle, code } = await this.#resident.deliver(revision, this.#sandbox!);
      if (load !== this.#loads || this.#left) return;
      this.#openLogs(revision);
      this.send({ kind: "sent", loadBudgetMs: spec.initTimeoutMs + LOAD_EXTRA_MS });
      await this.#control!.load(loadOf(revision, spec, code), code.kind === "bytes" ? bundle.read() : undefined);
    } catch (error) {
      if (load !== this.#loads) return;
      this.#log.warn("loading failed", { revision: revisionKey(revision), error });
      this.send({ kind: "load-failed", failure: toFailure(error) });
    }
  }

  #makeResident(): ResidentRevision {
    return new ResidentRevision(
      { ...this.#deps, log: this.#log },
      {
        restrict: (network) => this.#restrict(network),
        unenforced: (failure) => this.send({ kind: "remove", cause: "host", failure }),
      },
    );
  }

  /** What ends is left as it is. */
  #restrict(network: NetworkPolicy): void {
    if (boundOf(this.#life.phase) !== undefined) void this.#drive((sandbox) => sandbox.restrict(network));
  }

  #makeControl(address: string): GuestControl {
    const deps = { ...this.#deps, log: this.#log };
    return new GuestControl(
      deps,
      { address, pingMs: this.options.pingMs },
      {
        hello: ({ state, bound }) => this.send({ kind: "hello", state, bound }),
        loaded: (durationMs) => this.send({ kind: "loaded", durationMs }),
        initialised: (durationMs) => this.send({ kind: "initialised", durationMs }),
        failed: (failed) => this.#failed(failed),
        log: (head) => this.#logs?.receive(head),
        health: (state) => this.#tell("health", { sandbox: this.id, state }),
        violation: (message) => this.send({ kind: "violation", message: `the guest broke its protocol: ${message}` }),
      },
    );
  }

  #failed({ phase, code, error }: GuestFailed): void {
    const message = error.name === "Error" ? error.message : `${error.name}: ${error.message}`;
    this.send({ kind: phase === "load" ? "load-failed" : "init-failed", failure: { code, message } });
  }

  #openLogs(revision = boundOf(this.#life.phase)): void {
    if (revision === undefined || this.#logs !== undefined) return;
    const { logBytesPerSecond: bytesPerSecond, logEntriesPerSecond: entriesPerSecond } = this.options;
    this.#logs = new GuestLogs(this.#deps, revision, { sandbox: this.id, bytesPerSecond, entriesPerSecond });
  }

  #output(stream: "stdout" | "stderr", text: string): void {
    if (stream === "stderr") this.#stderr = (this.#stderr + text).slice(-STDERR_TAIL);
    if (this.#logs !== undefined) this.#logs.output(stream, text);
    else this.#log.warn("output of a guest without code", { stream, text: text.slice(0, STDERR_TAIL) });
  }

  /** A timer that is early is left: ticks are harmless, and renewed grants would otherwise move it all the time. */
  #arm(): void {
    const dueMs = this.#left ? undefined : deadline(this.#life);
    if (dueMs === undefined || (this.#timer !== undefined && this.#timer.at <= dueMs)) return;
    this.#disarm();
    const { clock } = this.#deps;
    const timer = clock.after(dueMs - clock.monotonic(), () => {
      this.#timer = undefined;
      this.send({ kind: "tick" });
    });
    this.#timer = { at: dueMs, timer };
  }

  #persistNoLater(): void {
    if (this.#persistLater !== undefined) this.#deps.clock.cancel(this.#persistLater);
    this.#persistLater = undefined;
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#deps.clock.cancel(this.#timer.timer);
    this.#timer = undefined;
  }
}

function loadOf(revision: RevisionRef, spec: LaunchSpec, code: GuestLoad["code"]): GuestLoad {
  const { handler, environment, concurrency, execution, memoryMiB, timeoutMs, initTimeoutMs } = spec;
  const init = initOf(initTimeoutMs);
  return { ...revision, code, handler, environment, concurrency, execution, memoryMiB, timeoutMs, init };
}

function stageOf(phase: Phase): Stage {
  if (boundOf(phase) === undefined) return "generic";
  return phase.name === "loading" || phase.name === "loaded" || phase.name === "initialising" ? "starting" : "serving";
}

/** What the log tells of a phase beyond its name. */
function factsOf(phase: Phase, from: PhaseName): LogFields {
  switch (phase.name) {
    case "ready":
      return from === "frozen" ? {} : { startMs: phase.startMs, loadMs: phase.loadMs, initMs: phase.initMs };
    case "ending":
    case "gone":
      return { cause: phase.cause, code: phase.failure?.code, reason: phase.failure?.message };
    default:
      return {};
  }
}
