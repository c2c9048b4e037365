import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Clock, Timer } from "#base/clock.ts";
import { type AppConfig, type AppFunction, parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import type { Failure } from "#contract/errors.ts";
import type { RevisionRef } from "#contract/names.ts";
import type { StartEvents } from "#platform/dispatch/dispatcher.ts";
import { DevSource, type DevSourceDeps } from "./code.ts";
import type { Tell } from "./event.ts";
import { type DevRevisions, refOf } from "./revisions.ts";
import { type FolderWatcher, watchFile, watchFolder } from "./watcher.ts";

/** Of one save come several events, and of "save all" several files. */
const SETTLE_MS = 20;

export interface DevAppDeps extends Omit<DevSourceDeps, "warn"> {
  readonly clock: Clock;
  readonly revisions: DevRevisions;
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
  /** Starts under way, to tell how long they took. */
  readonly begun: Map<string, number>;
}

/**
 * The app of one folder as it is on the disk: its configuration and the code of its functions, followed while they change.
 *
 * Owns: which functions there are, and the watches. Does not own: what a change leads to in dispatch (revisions.ts).
 * Invariants: 1. of one function one preparation runs at a time, and the last change always has one after it; 2. a configuration
 * with mistakes changes nothing; 3. after `close` nothing more is put.
 */
export class DevApp implements StartEvents {
  readonly #deps: DevAppDeps;
  readonly #options: DevAppOptions;
  readonly #functions = new Map<string, RunFunction>();
  readonly #closing = new AbortController();
  #config: AppConfig = { app: "", functions: {} };
  #broken = false;
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
      this.#watcher = watchFile(join(this.#options.folder, APP_FILE), {
        changed: () => this.#configLater(),
        failed: (error) => this.#unwatched(undefined, error),
      });
    this.#apply(config);
    await Promise.all([...this.#functions.values()].map(({ work }) => work));
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error("closing"));
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

  /** Dispatch has a sandbox of the revision. */
  started({ function: name, revision }: RevisionRef): void {
    const run = this.#functions.get(name);
    if (run === undefined || this.#closing.signal.aborted) return;
    this.#deps.revisions.settled(refOf(run.app, name), revision);
    const begun = run.begun.get(revision);
    if (begun === undefined) return;
    run.begun.clear();
    this.#deps.tell({ kind: "ready", function: name, revision, tookMs: this.#deps.clock.monotonic() - begun });
  }

  startFailed({ function: name, revision }: RevisionRef, { code, message }: Failure): void {
    const run = this.#functions.get(name);
    if (run === undefined || this.#closing.signal.aborted) return;
    if (this.#deps.revisions.current(refOf(run.app, name)) !== revision) return;
    this.#deps.revisions.settled(refOf(run.app, name), revision);
    // Callers are told each time; here once is enough.
    if (run.begun.delete(revision)) this.#deps.tell({ kind: "broken", function: name, code, message });
  }

  #configLater(): void {
    if (this.#configTimer !== undefined) this.#deps.clock.cancel(this.#configTimer);
    this.#configTimer = this.#deps.clock.after(SETTLE_MS, () => this.#readConfig());
  }

  #readConfig(): void {
    const { folder } = this.#options;
    let text: string;
    try {
      text = readFileSync(join(folder, APP_FILE), "utf8");
    } catch (error) {
      return this.#breakConfig(
        `${APP_FILE} can't be read (${(error as NodeJS.ErrnoException).code}): the functions stay as they were`,
      );
    }
    const parsed = parseAppConfig(text, { exists: (inside) => existsSync(join(folder, inside)) });
    if (parsed.kind === "mistakes") return this.#breakConfig(formatMistakes(parsed.mistakes, text, APP_FILE));
    if (this.#broken) this.#deps.tell({ kind: "config-mended" });
    this.#broken = false;
    // Here they are fired, by hand.
    for (const warning of parsed.warnings)
      if (warning.code !== "timers-not-fired")
        this.#deps.tell({ kind: "warning", function: undefined, text: warning.text });
    this.#apply(parsed.config);
  }

  #breakConfig(text: string): void {
    this.#broken = true;
    this.#deps.tell({ kind: "config-broken", text });
  }

  #apply(config: AppConfig): void {
    const { app, functions } = config;
    this.#config = config;
    for (const [name, run] of [...this.#functions]) {
      const fn = functions[name];
      if (fn !== undefined && run.app === app && run.fn.source === fn.source) continue;
      this.#functions.delete(name);
      this.#deps.revisions.remove(refOf(run.app, name));
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

  #add(app: string, name: string, fn: AppFunction): void {
    const folder = join(this.#options.folder, fn.source);
    const { home, homes, watch } = this.#options;
    const warn = (whose: string, text: string) => this.#deps.tell({ kind: "warning", function: whose, text });
    const code = new DevSource({ ...this.#deps, warn }, name, { folder, home, homes });
    const run = { app, fn, code, watcher: undefined, changedAt: undefined, work: Promise.resolve(), begun: new Map() };
    this.#functions.set(name, run);
    if (watch) this.#watch(name, run, folder);
    this.#changed(name);
  }

  #watch(name: string, run: RunFunction, folder: string): void {
    run.watcher = watchFolder(folder, {
      changed: () => this.#changedLater(name),
      failed: (error) => this.#unwatched(name, error),
    });
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
    const { changedAt, fn } = run;
    if (changedAt === undefined || this.#closing.signal.aborted) return;
    run.changedAt = undefined;
    try {
      const code = await run.code.prepare(fn, this.#closing.signal);
      if (this.#functions.get(name) !== run) return;
      run.begun.clear();
      const revision = this.#deps.revisions.put(refOf(run.app, name), fn, code);
      run.begun.set(revision, changedAt);
    } catch (error) {
      if (!this.#closing.signal.aborted) throw error;
    }
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
