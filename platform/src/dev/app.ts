import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "#base/clock.ts";
import type { AppConfig, AppFunction } from "#contract/config/app-config.ts";
import { splitHandler } from "#contract/config/handler.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { INTERNET, samePolicy, showPolicy } from "#contract/network/policy.ts";
import { type FolderWatcher, watchFile, watchFolder } from "#platform/builder/archive/watch.ts";
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
  /** The work on it, one step after the other. */
  work: Promise<void>;
}

/**
 * The app of one folder as it is on the disk: its configuration and the code of its functions, followed while they change.
 *
 * Owns: which functions there are, and the watches. Does not own: what a change leads to in dispatch (revisions.ts).
 * Invariants: 1. of one function one preparation runs at a time, and the last change always has one after it; 2. a configuration
 * with mistakes changes nothing; 3. after `close` nothing more is put.
 */
export class DevApp {
  readonly #deps: DevAppDeps;
  readonly #options: DevAppOptions;
  readonly #functions = new Map<string, RunFunction>();
  readonly #closing = new AbortController();
  #config: AppConfig = { app: "", network: INTERNET, functions: {} };
  /** What is wrong with the configuration, as it was told. */
  #broken: string | undefined;
  #watcher: FolderWatcher | undefined;
  #configTimer: Timer | undefined;
  #timers = new Map<string, Timer>();

  constructor(deps: DevAppDeps, options: DevAppOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get config(): AppConfig {
    return this.#config;
  }

  /** Resolves when every function has its first revision, or is known to be broken. */
  async open(config: AppConfig): Promise<void> {
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
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("closing"));
    this.#deps.starts.close();
    this.#watcher?.close();
    const timers = [this.#configTimer, ...this.#timers.values()];
    for (const timer of timers) if (timer !== undefined) this.#deps.clock.cancel(timer);
    // Who waits for a sandbox is told now that there will be none.
    for (const [name, { app }] of this.#functions) this.#deps.revisions.remove(refOf(app, name));
    await Promise.all([...this.#functions.values()].map((run) => this.#end(run)));
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
      this.#deps.starts.forget(refOf(run.app, name));
      if (fn === undefined) this.#deps.tell({ kind: "removed", function: name });
      void this.#end(run);
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
    const run = { app, fn, code, watcher: undefined, changedAt: undefined, work: Promise.resolve() };
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
    const timer = this.#timers.get(name);
    if (timer !== undefined) this.#deps.clock.cancel(timer);
    this.#timers.set(
      name,
      this.#deps.clock.after(SETTLE_MS, () => this.#changed(name)),
    );
  }

  #changed(name: string): void {
    const run = this.#functions.get(name);
    if (run === undefined) return;
    run.changedAt ??= this.#deps.clock.monotonic();
    run.work = run.work.then(() => this.#renew(name, run));
  }

  /** Takes all that has changed so far; what changes meanwhile has a turn of its own. */
  async #renew(name: string, run: RunFunction): Promise<void> {
    if (run.changedAt === undefined || this.#closing.signal.aborted) return;
    this.#adoptHandler(run);
    const { changedAt, fn } = run;
    run.changedAt = undefined;
    try {
      const code = await run.code.prepare(fn, this.#closing.signal);
      if (this.#functions.get(name) !== run) return;
      const { revisions, starts } = this.#deps;
      const ref = refOf(run.app, name);
      starts.begin(ref, revisions.put(ref, fn, code), changedAt);
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
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

  async #end(run: RunFunction): Promise<void> {
    run.watcher?.close();
    await run.work.catch(() => {});
    await run.code.close();
  }
}

function remedyOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === "EMFILE")
    return "the system gives no more watchers: raise fs.inotify.max_user_instances, or end other programs that watch files";
  if (code === "ENOSPC")
    return "the system watches no more files: raise fs.inotify.max_user_watches, or leave folders out with .colibriignore";
  return message;
}
