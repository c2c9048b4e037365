import {
  GUEST_FRAMES,
  type GuestFailed,
  type GuestInvoke,
  type GuestLoad,
  type GuestState,
  type MisroutedReason,
} from "#contract/guest/link.ts";
import type { RevisionRef } from "#contract/names.ts";
import { ChildFailure } from "./child.ts";
import type { Connection } from "./connection.ts";
import type { Logger } from "./console.ts";
import { replaceEnvironment } from "./environment.ts";
import type { LoadedFunction } from "./function.ts";
import { runInit } from "./init.ts";
import { loadFunction } from "./loader.ts";
import type { LogQueue } from "./log-queue.ts";
import { Processes } from "./processes.ts";
import { type Scope, scopes } from "./scope.ts";
import { describeThrown, inspectThrown } from "./thrown.ts";
import { Unpacker } from "./unpacker.ts";

export interface GuestDeps {
  readonly logs: LogQueue;
  readonly logger: Logger;
  /** Ends the process once everything is sent. */
  readonly exit: (code: number) => void;
}

/** Part of the drain grace that is left to user code that was cancelled. */
const AFTER_CANCEL_MS = 1_000;
/** Where a bundle handed over as bytes is unpacked, in the sandbox folder. */
const CODE_FOLDER = process.env.COLIBRI_CODE_FOLDER ?? "code";

/**
 * What this guest is and may do.
 *
 *     pending ─LOAD→ loading ─→ loaded ─INIT→ initialising ─→ ready ─→ draining
 *                       └─→ failed    └───────────←───┘ init failed
 *
 * Owns: the state, the loaded function, the count of running invocations. Does not own: streams and invocations.
 * Invariants: 1. code is loaded once in the life of the process; 2. `init` succeeds once; 3. `active` is at most `slots`.
 */
export class Guest {
  readonly logger: Logger;
  state: GuestState = "pending";
  bound: RevisionRef | undefined;
  slots = 0;
  active = 0;
  loaded: LoadedFunction | undefined;
  /** Of `execution: process`: user code runs there, not here. */
  processes: Processes | undefined;
  /** Told of DRAIN's end: cancel what still runs. */
  onShutdown: () => void = () => {};
  readonly #deps: GuestDeps;
  #control: Connection | undefined;
  #load: GuestLoad | undefined;
  #unpacker: Unpacker | undefined;
  #exitCode: number | undefined;
  #graceEndsMs = 0;

  constructor(deps: GuestDeps) {
    this.#deps = deps;
    this.logger = deps.logger;
  }

  /** Why an invocation can't be taken, or undefined when it can. */
  refusal(head: GuestInvoke): MisroutedReason | undefined {
    if (this.state !== "ready") return this.state === "draining" ? "draining" : "unbound";
    const bound = this.bound!;
    if (
      head.revision !== bound.revision ||
      head.function !== bound.function ||
      head.app !== bound.app ||
      head.tenant !== bound.tenant
    )
      return "other-revision";
    return this.active >= this.slots ? "full" : undefined;
  }

  /** An invocation is over. */
  released(): void {
    this.active--;
    if (this.active === 0 && this.#exitCode !== undefined) this.#exit(this.#exitCode);
  }

  /** The stack of a failure goes to the log of its invocation. */
  report(scope: Scope, error: unknown): void {
    scopes.run(scope, () => this.#deps.logs.write("stderr", "error", `${inspectThrown(error)}\n`, true));
  }

  /** The agent's current control stream. */
  attach(control: Connection): void {
    this.#control = control;
  }

  /** @throws when the agent may not load now. */
  load(load: GuestLoad): void {
    if (this.state !== "pending") throw new Error(`LOAD in state ${this.state}`);
    this.state = "loading";
    this.bound = { tenant: load.tenant, app: load.app, function: load.function, revision: load.revision };
    this.slots = load.concurrency;
    this.#load = load;
    if (load.code.kind === "bytes") this.#unpacker = new Unpacker(CODE_FOLDER, load.code);
    else this.#loadFrom(load.code.path);
  }

  /** @throws when no code is awaited. */
  code(bytes: Buffer, fin: boolean): void {
    const unpacker = this.#unpacker;
    if (unpacker === undefined) throw new Error("CODE that nobody awaits");
    unpacker.push(bytes);
    if (!fin) return;
    this.#unpacker = undefined;
    try {
      this.#loadFrom(unpacker.finish());
    } catch (error) {
      this.#loadFailed(error);
    }
  }

  /** The stream that was handing over code is gone: the rest will not come. */
  codeLost(): void {
    if (this.#unpacker === undefined) return;
    this.#unpacker.abandon();
    this.#unpacker = undefined;
    this.#loadFailed(new Error("the control stream was closed before the bundle was complete"));
  }

  /** @throws when there is nothing to initialise. */
  init(timeoutMs: number): void {
    if (this.state === "ready") this.#tell(GUEST_FRAMES.READY, { durationMs: 0 });
    else if (this.state === "loaded") void this.#initialise(timeoutMs);
    else if (this.state !== "initialising" && this.state !== "draining") throw new Error(`INIT in state ${this.state}`);
  }

  /** Takes nothing new; exits when what runs is over, which is cancelled after `graceMs`. */
  drain(graceMs: number, exitCode = 0): void {
    this.state = "draining";
    if (this.#exitCode === undefined) {
      this.#graceEndsMs = performance.now() + graceMs;
      setTimeout(() => this.onShutdown(), graceMs);
      setTimeout(() => this.#deps.exit(exitCode), graceMs + AFTER_CANCEL_MS);
    }
    this.leave(exitCode);
  }

  /** Takes nothing new; exits when what runs is over. */
  leave(exitCode: number): void {
    this.state = "draining";
    this.#exitCode = Math.max(exitCode, this.#exitCode ?? 0);
    if (this.active === 0) this.#exit(this.#exitCode);
  }

  #exit(code: number): void {
    if (this.processes === undefined) this.#deps.exit(code);
    else {
      const graceMs = Math.max(0, this.#graceEndsMs - performance.now());
      void this.processes.stop(Math.round(graceMs)).then(() => this.#deps.exit(code));
    }
  }

  #loadFrom(folder: string): void {
    const load = this.#load!;
    const started = performance.now();
    const loading = load.execution === "process" ? this.#startProcesses(load, folder) : this.#loadHere(load, folder);
    loading.then(
      () => {
        this.#enter("loaded");
        this.#tell(GUEST_FRAMES.LOADED, { durationMs: performance.now() - started });
        if (load.init !== undefined) this.init(load.init.timeoutMs);
      },
      (error) => this.#loadFailed(error),
    );
  }

  async #startProcesses(load: GuestLoad, folder: string): Promise<void> {
    this.processes = new Processes({ logs: this.#deps.logs }, load, folder);
    await this.processes.load();
  }

  async #loadHere(load: GuestLoad, folder: string): Promise<void> {
    if (load.execution !== "loop")
      throw new Error(`the Node runtime runs execution "loop" and "process", not "${load.execution}"`);
    replaceEnvironment(load.environment);
    this.loaded = await new Promise<LoadedFunction>((resolve, reject) => {
      const scope = this.#phaseScope("loading", reject);
      scopes.run(scope, () => loadFunction(folder, load.handler).then(resolve, reject));
    });
  }

  #loadFailed(error: unknown): void {
    this.#enter("failed");
    this.#fail({ phase: "load", code: "load-failed", error: describeThrown(error) }, error);
  }

  async #initialise(timeoutMs: number): Promise<void> {
    this.state = "initialising";
    const started = performance.now();
    try {
      await this.#runInit(timeoutMs);
    } catch (error) {
      this.#enter("loaded");
      this.#fail({ phase: "init", code: "init-failed", error: describeThrown(error) }, error);
      return;
    }
    this.#enter("ready");
    this.#tell(GUEST_FRAMES.READY, { durationMs: performance.now() - started });
  }

  async #runInit(timeoutMs: number): Promise<void> {
    if (this.processes !== undefined) return this.processes.init(timeoutMs);
    const init = this.loaded!.init;
    if (init === undefined) return;
    const scopeOf = (reject: (error: unknown) => void) => this.#phaseScope("initialising", reject);
    await runInit(init, { revision: this.bound!, timeoutMs, log: this.logger, scopeOf });
  }

  /** User code that runs outside of invocations: while the phase lasts, what it lets go uncaught ends the phase. */
  #phaseScope(phase: GuestState, reject: (error: unknown) => void): Scope {
    const fail = (error: unknown) => {
      if (this.state !== phase) return false;
      reject(error);
      return true;
    };
    return { id: undefined, fail };
  }

  /** Draining has the last word. */
  #enter(state: GuestState): void {
    if (this.state !== "draining") this.state = state;
  }

  #fail(failed: GuestFailed, error: unknown): void {
    // A child has written its own log.
    if (!(error instanceof ChildFailure)) this.#deps.logs.write("stderr", "error", `${inspectThrown(error)}\n`, true);
    // A guest that could not be loaded is removed as soon as FAILED is heard.
    this.#deps.logs.flush(true);
    this.#tell(GUEST_FRAMES.FAILED, failed);
  }

  #tell(type: number, head: object): void {
    this.#deps.logs.flush();
    this.#control?.send(type, 0, 0, JSON.stringify(head), null);
  }
}
