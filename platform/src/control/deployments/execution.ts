import type { Clock } from "#base/clock.ts";
import { stableJson } from "#base/stable-json.ts";
import type { Digest } from "#contract/digest.ts";
import { type ErrorCode, type Failure, PlatformError, toFailure } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import { INTERNET } from "#contract/network/policy.ts";
import { type BundleRef, splitConfig } from "#domain/function/function.ts";
import { NO_OVERRIDES, overriddenNames } from "#domain/function/overrides.ts";
import { plansProblem } from "#domain/function/plan.ts";
import type { DeploymentState, FunctionProgress, FunctionRelease, NewEvent, Store } from "#ports/store/index.ts";
import { type Notices, noticeKey } from "../notices.ts";
import type { Settlement } from "../plan-server.ts";
import type { Uploads } from "../uploads.ts";
import { conflict } from "./admission.ts";
import type { Builder } from "./builder.ts";
import { type Decision, decide } from "./decision.ts";
import { EventWriter } from "./event-writer.ts";
import { type Wanted, wantedBy } from "./wanted.ts";

export interface ExecutionDeps {
  readonly store: Store;
  readonly uploads: Uploads;
  readonly builder: Builder;
  readonly notices: Notices;
  readonly clock: Clock;
  /**
   * After each release, and again where it was interrupted: plans may have changed, and these functions are no more. Answers
   * whether the change is live, when that is so or has been waited for long enough.
   */
  readonly onReleased: (removed: readonly FunctionRef[], signal: AbortSignal) => Promise<Settlement>;
}

/** A deployment that was begun so often and never ended is not tried again: perhaps it is what ends the process. */
const MAXIMUM_ATTEMPTS = 5;
/** What it was decided on may change while it builds, but not for ever. */
const MAXIMUM_DECISIONS = 5;
const TRANSIENT: readonly ErrorCode[] = ["store-unavailable", "unavailable"];

/**
 * Carries out one deployment from wherever it stands: decide for each function what changes, build what needs it, release all
 * at once. Whatever of it was done before is found in the store and not done again:
 *
 *   queued ──▶ building ──▶ releasing ──▶ released ──▶ done      (the release and `released` are one transaction)
 *      └───────────┴────────────┴───────▶ failed
 *
 * It is `done` when gateways have confirmed it; what was released is never failed.
 * Resolves when it has ended. Rejects, leaving it to be carried out again, when aborted or when the store is away.
 */
export async function execute(
  deps: ExecutionDeps,
  { tenant, id, interrupted }: Attempt,
  signal: AbortSignal,
): Promise<void> {
  const job = await deps.store.deployment(tenant, id);
  if (job === undefined || job.finishedAtMs !== undefined) return;
  const execution = new Execution(deps, job, interrupted, signal);
  try {
    await execution.run();
  } catch (error) {
    if (signal.aborted || isTransient(error) || execution.isReleased) throw error;
    await execution.fail(error);
  }
}

export interface Attempt {
  readonly tenant: string;
  readonly id: string;
  /** What the last attempt ended with; absent where that was in another process. */
  readonly interrupted?: unknown;
}

function isTransient(error: unknown): boolean {
  return error instanceof PlatformError && TRANSIENT.includes(error.code);
}

/** Says which function an error is about. */
class FunctionFailed extends Error {
  readonly function: string;

  constructor(name: string, cause: unknown) {
    super(`${name} failed`, { cause });
    this.function = name;
  }
}

class Execution {
  readonly #deps: ExecutionDeps;
  readonly #job: DeploymentState;
  readonly #interrupted: unknown;
  readonly #signal: AbortSignal;
  readonly #events: EventWriter;
  /** What was built, by this attempt or one before. */
  readonly #bundles = new Map<string, BundleRef>();
  #isReleased: boolean;
  /** What the functions are to become. Of a reconfiguration known when it is carried out. */
  #wanted: Wanted;

  constructor(deps: ExecutionDeps, job: DeploymentState, interrupted: unknown, signal: AbortSignal) {
    this.#deps = deps;
    this.#job = job;
    this.#interrupted = interrupted;
    this.#signal = signal;
    this.#isReleased = job.state === "released";
    const { request } = job;
    this.#wanted = { request, overrides: NO_OVERRIDES, network: request.network ?? INTERNET, networkChanges: false };
    this.#events = new EventWriter(deps, job.tenant, job.id);
    for (const { function: name, bundle } of job.functions)
      if (bundle !== undefined) this.#bundles.set(name, bundle as BundleRef);
  }

  /** It has taken effect in the store. */
  get isReleased(): boolean {
    return this.#isReleased;
  }

  async run(): Promise<void> {
    const { attempts } = this.#job;
    if (this.#isReleased) return this.#finish(this.#job);
    if (attempts >= MAXIMUM_ATTEMPTS)
      throw new PlatformError(
        "internal",
        `It was begun ${attempts} times and never ended; the platform's log says more. The last time: ${this.#lastCause}`,
      );
    await this.#enter("building", { attempts: attempts + 1 });
    if (attempts > 0) this.#events.add("step", `Taken up again. The last time: ${this.#lastCause}`);
    for (let round = 0; round < MAXIMUM_DECISIONS; round++) if (await this.#attempt()) return;
    throw new PlatformError("conflict", "Its functions kept changing while it was under way: deploy again.");
  }

  get #lastCause(): string {
    if (this.#interrupted === undefined) return "control ended while it was under way.";
    return failureOf(this.#interrupted).message;
  }

  /** False when what it was decided on is no longer so. */
  async #attempt(): Promise<boolean> {
    const { store } = this.#deps;
    const decisions: Decision[] = [];
    this.#wanted = await wantedBy(store, this.#job);
    for (const name of Object.keys(this.#wanted.request.functions))
      decisions.push(await decide(store, this.#job.tenant, this.#wanted, name));
    for (const decision of decisions) if (decision.change === "build") await this.#build(decision.name);
    await this.#events.written();
    await this.#enter("releasing");
    const { tenant, id, app } = this.#job;
    const { request } = this.#wanted;
    for (const decision of decisions) this.#refuseUnreadable(decision);
    const functions = decisions.map((decision) => this.#releaseOf(decision));
    this.#signal.throwIfAborted();
    const { network, prune } = request;
    const release = { deployment: id, app, atMs: this.#deps.clock.now(), prune: prune === true, network, functions };
    const outcome = await this.#deps.store.release(tenant, release);
    if (outcome.kind === "claimed")
      throw new FunctionFailed(outcome.function, conflict(request, outcome.function, outcome.held));
    if (outcome.kind === "changed") return false;
    if (outcome.kind === "released") {
      this.#isReleased = true;
      await this.#finish(outcome.deployment);
    }
    return true;
  }

  async #finish(released: DeploymentState): Promise<void> {
    const settlement = await this.#deps.onReleased(removedBy(released), this.#signal);
    this.#signal.throwIfAborted();
    const atMs = this.#deps.clock.now();
    const events: NewEvent[] = [
      ...(settlement.kind === "settled" ? [] : [{ atMs, kind: "step" as const, text: notLiveYet(settlement) }]),
      { atMs, kind: "state", text: "done" },
      { atMs, kind: "end", text: "done" },
    ];
    const { tenant, id } = released;
    await this.#deps.store.progress(tenant, id, { atMs, state: "done", events });
    this.#deps.notices.tell(noticeKey(tenant, id));
  }

  async #build(name: string): Promise<void> {
    const { tenant } = this.#job;
    const { request } = this.#wanted;
    const built = this.#bundles.get(name);
    if (built !== undefined && (await this.#deps.uploads.has(tenant, built.digest))) return;
    const { source, config } = request.functions[name]!;
    await this.#report({ function: name, state: "building" });
    const bundle = await this.#deps.builder
      .build(
        {
          tenant,
          source: source as Digest,
          config,
          onStep: (text) => this.#events.add("step", text, name),
          onOutput: (text) => this.#events.add("output", text, name),
        },
        this.#signal,
      )
      .catch((error) => {
        throw this.#signal.aborted || isTransient(error) ? error : new FunctionFailed(name, error);
      });
    this.#signal.throwIfAborted();
    await this.#deps.uploads.touch(tenant, bundle.digest);
    this.#bundles.set(name, bundle);
    await this.#report({ function: name, state: "releasing", bundle });
  }

  /** Gateways and agents skip a plan that they can't read: released, it would be `done` and never live. */
  #refuseUnreadable({ name, current, config }: Decision): void {
    const { tenant, app } = this.#job;
    const bundle = this.#bundles.get(name) ?? current?.bundle;
    const problem = bundle && plansProblem({ tenant, app, function: name }, config, bundle, this.#wanted.network);
    if (problem === undefined) return;
    const message = `Its plan would be refused: ${problem.replace(/^\./, "")}. Correct its configuration and deploy again.`;
    throw new FunctionFailed(name, new PlatformError("request-invalid", message));
  }

  #releaseOf({ name, change, current, config, declared }: Decision): FunctionRelease {
    const { source } = this.#wanted.request.functions[name]!;
    const { revision, policy } = splitConfig(config);
    const from = current?.revision;
    const differs = stableJson(declared) !== stableJson(config.environment);
    const settings = { config: revision, ...(differs && { declared }) };
    const overridden = overriddenNames(settings);
    if (change === "build" || current === undefined) {
      const content = { source: source as Digest, bundle: this.#bundles.get(name)!, ...settings };
      const change = current ? "updated" : "created";
      return { kind: "revision", function: name, from, change, content, policy, overridden };
    }
    if (change === "configured") {
      const content = { source: current.source, bundle: current.bundle, ...settings };
      return { kind: "revision", function: name, from, change, content, policy, overridden };
    }
    const of = { function: name, from: current.revision, overridden };
    return change === "policy" ? { kind: "policy", ...of, policy } : { kind: "unchanged", ...of };
  }

  async fail(error: unknown): Promise<void> {
    const about = error instanceof FunctionFailed ? error.function : undefined;
    const failure = failureOf(error instanceof FunctionFailed ? error.cause : error);
    const functions = Object.keys(this.#wanted.request.functions).map((name): FunctionProgress => {
      const own = about === undefined || about === name;
      const message = own ? failure.message : `Not released, because ${about} failed.`;
      return { function: name, state: "failed", error: { code: failure.code, message } };
    });
    await this.#events.written();
    const atMs = this.#deps.clock.now();
    const text = `failed: ${about === undefined ? "" : `${about}: `}${failure.message}`;
    const events = [
      { atMs, kind: "state" as const, text: "failed" },
      { atMs, kind: "end" as const, text },
    ];
    const { tenant, id } = this.#job;
    await this.#deps.store.progress(tenant, id, { atMs, state: "failed", functions, events });
    this.#deps.notices.tell(noticeKey(tenant, id));
  }

  async #enter(state: "building" | "releasing", changed: { attempts?: number } = {}): Promise<void> {
    this.#signal.throwIfAborted();
    const { tenant, id } = this.#job;
    const atMs = this.#deps.clock.now();
    const events = [{ atMs, kind: "state" as const, text: state }];
    await this.#deps.store.progress(tenant, id, { atMs, state, ...changed, events });
    this.#deps.notices.tell(noticeKey(tenant, id));
  }

  async #report(progress: FunctionProgress): Promise<void> {
    const { tenant, id } = this.#job;
    await this.#deps.store.progress(tenant, id, { atMs: this.#deps.clock.now(), functions: [progress] });
  }
}

function removedBy({ tenant, app, functions }: DeploymentState): FunctionRef[] {
  const removed = functions.filter((entry) => entry.change === "removed");
  return removed.map((entry) => ({ tenant, app, function: entry.function }));
}

function notLiveYet({ waitingFor }: Settlement & { kind: "unsettled" }): string {
  if (waitingFor.length === 0) return "Not live yet: no gateway is connected. It will be as soon as one is back.";
  const names = waitingFor.map(({ instance, pid }) => `${instance} (process ${pid})`).join(", ");
  return `Not live everywhere yet: not confirmed by ${names}. It will be as soon as they answer again.`;
}

function failureOf(error: unknown): Failure {
  if (error instanceof PlatformError) return toFailure(error);
  return { code: "internal", message: `Something unexpected happened: ${toFailure(error).message}` };
}
