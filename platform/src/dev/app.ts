import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "#base/clock.ts";
import type { AppConfig, AppFunction } from "#contract/config/app-config.ts";
import { splitHandler } from "#contract/config/handler.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { INTERNET, samePolicy, showPolicy } from "#contract/network/policy.ts";
import { type FolderWatcher, remedyOf, watchFile, watchFolder } from "#platform/builder/archive/watch.ts";
import { readApp } from "./app-file.ts";
import { DevSource, type DevSourceDeps } from "./code.ts";
import type { Tell } from "./event.ts";
import { type DevRevisions, refOf } from "./revisions.ts";
import type { DevStarts } from "./starts.ts";

/** Of one save come several events, and of "save all" several files. */
const SETTLE_MS = 20;
const LOOK_AGAIN_MS = 250;

export interface DevAppDeps extends Omit<DevSourceDeps, "warn"> {
  readonly clock: Clock;
  readonly revisions: DevRevisions;
  readonly starts: DevStarts;
  readonly tell: Tell;
}

export interface DevAppOptions {
  readonly folder: string;
  readonly watch: boolean;
  readonly home: string;
  readonly homes: () => ReadonlySet<string>;
}

interface RunFunction {
  app: string;
  fn: AppFunction;
  readonly code: DevSource;
  watcher: FolderWatcher | undefined;
  /** Since when there is something that no revision has; undefined without. */
  changedAt: number | undefined;
  /** Of the last change, until it is looked at. */
  timer: Timer | undefined;
  /** The work on it, one step after the other. */
  work: Promise<void>;
  /** Aborted when it is removed, or dev closed. */
  readonly ending: AbortController;
}

/**
 * The app of one folder as it is on the disk: its configuration and the code of its functions, followed while they change.
 *
 * Owns: which functions there are, and the watches. Does not own: what a change leads to in dispatch (revisions.ts).
 * Invariants: 1. of one function one preparation runs at a time, and the last change always has one after it; 2. a configuration
 * with mistakes changes nothing; 3. after `close` nothing more is put; 4. of one name, also in another app or folder, the next one
 * begins when the last one has ended: both build into the same folder.
 */
export class DevApp {
  readonly #deps: DevAppDeps;
  readonly #options: DevAppOptions;
  readonly #functions = new Map<string, RunFunction>();
  /** By function, the end of the last one that was removed, while it goes on. */
  readonly #ends = new Map<string, Promise<void>>();
  #config: AppConfig = { app: "", network: INTERNET, functions: {} };
  /** What is wrong with the configuration, as it was told. */
  #broken: string | undefined;
  #watcher: FolderWatcher | undefined;
  #configTimer: Timer | undefined;
  #closed: Promise<void> | undefined;

  constructor(deps: DevAppDeps, options: DevAppOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get config(): AppConfig {
    return this.#config;
  }

  /** Resolves when every function has its first revision, or is known to be broken. Aborted, it is closed. */
  async open(config: AppConfig, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    // Whoever gave the signal closes too, and is told what went wrong.
    const close = () => void this.close().catch(() => {});
    signal.addEventListener("abort", close);
    if (this.#options.watch)
      this.#watcher = watchFile(
        join(this.#options.folder, APP_FILE),
        {
          changed: () => this.#configLater(SETTLE_MS),
          failed: (error) => this.#unwatched(undefined, error),
        },
        this.#deps.clock,
      );
    this.#apply(config);
    await Promise.all([...this.#functions.values()].map(({ work }) => work));
    signal.removeEventListener("abort", close);
    signal.throwIfAborted();
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#deps.starts.close();
    this.#watcher?.close();
    if (this.#configTimer !== undefined) this.#deps.clock.cancel(this.#configTimer);
    // Who waits for a sandbox is told now that there will be none.
    for (const [name, { app }] of this.#functions) this.#deps.revisions.remove(refOf(app, name));
    const ends = [...this.#functions.values()].map((run) => this.#end(run));
    await Promise.all([...ends, ...this.#ends.values()]);
  }

  /** A new revision of the code as it is, also when nothing has changed. */
  restart(): void {
    for (const name of this.#functions.keys()) this.#changed(name);
  }

  #configLater(afterMs: number): void {
    if (this.#configTimer !== undefined) this.#deps.clock.cancel(this.#configTimer);
    this.#configTimer = this.#deps.clock.after(afterMs, () => this.#readConfig());
  }

  /** With mistakes it stays as it was, and is looked at again: a file that it names may come. */
  #readConfig(): void {
    const read = readApp(this.#options.folder);
    if (read.kind === "broken") {
      if (read.text !== this.#broken) this.#deps.tell({ kind: "config-broken", text: read.text });
      this.#broken = read.text;
      return this.#configLater(LOOK_AGAIN_MS);
    }
    if (this.#broken !== undefined) this.#deps.tell({ kind: "config-mended" });
    this.#broken = undefined;
    for (const text of read.warnings) this.#deps.tell({ kind: "warning", function: undefined, text });
    this.#apply(read.config);
  }

  #apply(config: AppConfig): void {
    const { app, functions } = config;
    this.#tellOfNetwork(config);
    this.#config = config;
    for (const [name, run] of [...this.#functions]) {
      const fn = functions[name];
      if (fn !== undefined && run.app === app && run.fn.source === fn.source) continue;
      this.#functions.delete(name);
      this.#deps.revisions.remove(refOf(run.app, name));
      this.#deps.starts.remove(refOf(run.app, name));
      if (fn === undefined) this.#deps.tell({ kind: "removed", function: name });
      this.#endBefore(name, run);
    }
    for (const [name, fn] of Object.entries(functions)) {
      const run = this.#functions.get(name);
      if (run === undefined) this.#add(app, name, fn);
      else if (!isDeepStrictEqual(run.fn, fn)) {
        run.fn = fn;
        this.#changed(name);
      }
    }
  }

  /** Once for each that is not the default. */
  #tellOfNetwork({ network }: AppConfig): void {
    if (network.kind === "internet" || samePolicy(network, this.#config.network)) return;
    const text = `network: ${showPolicy(network)} is not enforced here: functions run as plain processes of this machine`;
    this.#deps.tell({ kind: "note", function: undefined, text });
  }

  #add(app: string, name: string, fn: AppFunction): void {
    const folder = join(this.#options.folder, fn.source);
    const { home, homes, watch } = this.#options;
    const warn = (whose: string, text: string) => this.#deps.tell({ kind: "warning", function: whose, text });
    const code = new DevSource({ ...this.#deps, warn }, name, { folder, home, homes });
    const run: RunFunction = {
      ...{ app, fn, code, watcher: undefined, changedAt: undefined, timer: undefined },
      ...{ work: this.#ends.get(name) ?? Promise.resolve(), ending: new AbortController() },
    };
    this.#functions.set(name, run);
    if (watch) this.#watch(name, run, folder);
    this.#changed(name);
  }

  #watch(name: string, run: RunFunction, folder: string): void {
    run.watcher = watchFolder(
      folder,
      {
        changed: () => this.#changedLater(name),
        failed: (error) => this.#unwatched(name, error),
      },
      this.#deps.clock,
    );
  }

  /** Of a function's folder, or of the configuration. */
  #unwatched(name: string | undefined, error: NodeJS.ErrnoException): void {
    const what = name === undefined ? `changes of ${APP_FILE} are not noticed` : "not all changes are noticed";
    this.#deps.tell({ kind: "warning", function: name, text: `${what}: ${remedyOf(error)}` });
  }

  #changedLater(name: string): void {
    const run = this.#functions.get(name);
    if (run === undefined) return;
    run.changedAt ??= this.#deps.clock.monotonic();
    if (run.timer !== undefined) this.#deps.clock.cancel(run.timer);
    run.timer = this.#deps.clock.after(SETTLE_MS, () => this.#changed(name));
  }

  #changed(name: string): void {
    const run = this.#functions.get(name);
    if (run === undefined) return;
    run.changedAt ??= this.#deps.clock.monotonic();
    run.work = run.work.then(() => this.#renew(name, run));
  }

  /** Takes all that has changed so far; what changes meanwhile has a turn of its own. */
  async #renew(name: string, run: RunFunction): Promise<void> {
    const { signal } = run.ending;
    if (run.changedAt === undefined || signal.aborted) return;
    this.#adoptHandler(run);
    const { changedAt, fn } = run;
    run.changedAt = undefined;
    try {
      const code = await run.code.prepare(fn, signal);
      if (signal.aborted) return;
      const { revisions, starts } = this.#deps;
      const ref = refOf(run.app, name);
      starts.begin(ref, revisions.put(ref, fn, code), changedAt);
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  /** Where the configuration leaves the handler open, it is another file once index.js has become index.ts. */
  #adoptHandler(run: RunFunction): void {
    const { source, config } = run.fn;
    const { folder, watch } = this.#options;
    if (!watch || existsSync(join(folder, source, splitHandler(config.handler).file))) return;
    const read = readApp(folder);
    if (read.kind === "config") this.#apply(read.config);
  }

  #endBefore(name: string, run: RunFunction): void {
    const end = this.#end(run)
      .catch(({ message }: Error) => this.#deps.tell({ kind: "warning", function: name, text: message }))
      .then(() => {
        if (this.#ends.get(name) === end) this.#ends.delete(name);
      });
    this.#ends.set(name, end);
  }

  async #end(run: RunFunction): Promise<void> {
    run.ending.abort(new Error("it is not run any more"));
    run.watcher?.close();
    if (run.timer !== undefined) this.#deps.clock.cancel(run.timer);
    await run.work.catch(() => {});
    await run.code.close();
  }
}
