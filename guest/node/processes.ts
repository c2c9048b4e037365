import { resolve } from "node:path";
import type { GuestInvoke, GuestLoad } from "#contract/guest/link.ts";
import type { Frame } from "#contract/link/frame.ts";
import { Child, ChildFailure } from "./child.ts";
import type { DataStream } from "./data-stream.ts";
import type { LogQueue } from "./log-queue.ts";
import { RelayedInvocation } from "./relayed.ts";

/** Of the children, in the sandbox folder. */
const FOLDER = "processes";
/** Beyond the function's own init timeout, for its process to start and its code to be read. */
const START_EXTRA_MS = 5_000;
/** Between the end of a child's grace and its being killed. */
const AFTER_GRACE_MS = 1_000;

/**
 * The slots of `execution: process`. The first process is started with LOAD; another when an invocation finds none free, up to one
 * for each slot; they stay and are used again. One that ends is replaced when it was the last, or something waits.
 *
 * Owns: the children, and the invocations that wait for one. Does not own: the count of slots taken (Guest).
 * Invariants: 1. children are at most `slots`; 2. an invocation waits only while none is free; 3. children end with this process.
 */
export class Processes {
  readonly #logs: LogQueue;
  readonly #load: GuestLoad;
  readonly #slots: number;
  readonly #environment = { ...process.env };
  readonly #children = new Map<Child, RelayedInvocation | undefined>();
  readonly #starting = new Set<Child>();
  #idle: Child[] = [];
  #waiting: RelayedInvocation[] = [];
  #first: Child | undefined;
  #initTimeoutMs = 0;
  #made = 0;
  #isReady = false;
  #allGone: (() => void) | undefined;

  /** Code lies at `path`. */
  constructor(deps: { logs: LogQueue }, load: GuestLoad, path: string) {
    this.#logs = deps.logs;
    const code = { kind: "mount", path: resolve(path) } as const;
    this.#load = { ...load, execution: "loop", concurrency: 1, code, init: undefined };
    this.#slots = load.concurrency;
    process.on("exit", () => {
      for (const child of this.#children.keys()) child.kill();
    });
  }

  /** @throws ChildFailure */
  async load(): Promise<void> {
    const child = this.#make();
    this.#first = child;
    await child.load(this.#load);
  }

  /** @throws ChildFailure; it may be asked again then, of the same process if it is still there */
  async init(timeoutMs: number): Promise<void> {
    this.#initTimeoutMs = timeoutMs;
    if (this.#first === undefined) await this.load();
    const child = this.#first!;
    await child.init(timeoutMs);
    this.#first = undefined;
    this.#isReady = true;
    this.#free(child);
  }

  take(link: DataStream, head: GuestInvoke, frame: Frame): RelayedInvocation {
    return new RelayedInvocation(this, link, head, frame);
  }

  /** Runs it as soon as a child is free. */
  run(invocation: RelayedInvocation): void {
    const child = this.#idle.pop();
    if (child !== undefined) {
      this.#give(child, invocation);
      return;
    }
    this.#waiting.push(invocation);
    this.#startAnother();
  }

  /** It waits no more. */
  forget(invocation: RelayedInvocation): void {
    this.#waiting = this.#waiting.filter((waiting) => waiting !== invocation);
  }

  /** Its invocation is over. */
  released(child: Child): void {
    child.release();
    this.#children.set(child, undefined);
    this.#free(child);
  }

  /** A line of the invocation's log. */
  report(invocation: string, text: string): void {
    const entry = { atMs: Date.now(), stream: "stderr", level: "error", invocation, text } as const;
    this.#logs.relay({ entries: [entry] });
  }

  /** Resolves when all have ended; what does not end within the grace is killed. */
  stop(graceMs: number): Promise<void> {
    this.#isReady = false;
    if (this.#children.size === 0) return Promise.resolve();
    for (const child of this.#children.keys()) child.drain(graceMs);
    setTimeout(() => {
      for (const child of this.#children.keys()) child.kill();
    }, graceMs + AFTER_GRACE_MS);
    return new Promise((resolve) => {
      this.#allGone = resolve;
    });
  }

  #make(): Child {
    const deps = { logs: this.#logs, gone: (child: Child) => this.#gone(child) };
    const child = new Child(deps, `${FOLDER}/${++this.#made}`, this.#environment);
    this.#children.set(child, undefined);
    return child;
  }

  #give(child: Child, invocation: RelayedInvocation): void {
    this.#children.set(child, invocation);
    invocation.start(child);
  }

  #free(child: Child): void {
    if (child.end !== undefined) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(child);
    else this.#give(child, next);
  }

  #gone(child: Child): void {
    const invocation = this.#children.get(child);
    this.#children.delete(child);
    this.#idle = this.#idle.filter((idle) => idle !== child);
    if (this.#first === child) this.#first = undefined;
    this.#starting.delete(child);
    invocation?.lost(child.end!);
    if (this.#children.size === 0) this.#allGone?.();
    // Not for one that never was ready: what can't start is tried again when something asks for it.
    if (this.#waiting.length > 0 || (child.wasReady && this.#children.size === 0)) this.#startAnother();
  }

  #startAnother(): void {
    if (!this.#isReady || this.#children.size >= this.#slots) return;
    if (this.#starting.size >= Math.max(1, this.#waiting.length)) return;
    const child = this.#make();
    this.#starting.add(child);
    const timer = setTimeout(() => child.kill(), this.#initTimeoutMs + START_EXTRA_MS);
    child
      .load(this.#load)
      .then(() => child.init(this.#initTimeoutMs))
      .then(
        () => {
          this.#starting.delete(child);
          this.#free(child);
        },
        (error) => this.#notStarted(child, error),
      )
      .finally(() => clearTimeout(timer));
  }

  /** Whoever has waited longest is told why. */
  #notStarted(child: Child, error: unknown): void {
    child.kill();
    this.#starting.delete(child);
    const failure =
      error instanceof ChildFailure
        ? error
        : new ChildFailure("init-failed", { name: "Error", message: (error as Error).message });
    this.#waiting.shift()?.fail(failure);
  }
}
