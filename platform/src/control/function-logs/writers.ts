import { join } from "node:path";
import { assert } from "#base/assert.ts";
import type { Log } from "#base/log.ts";
import { type FunctionRef, functionKey, isName } from "#contract/names.ts";
import { type LogLimits, LogWriter, OpenHandles } from "./writer.ts";

export interface LogWritersOptions extends LogLimits {
  /** Logs are at `<folder>/<tenant>/<app>/<function>/<number>.ndjson`. */
  readonly folder: string;
  /** Files kept open for writing, and writers kept that nobody uses. */
  readonly maximumOpenFiles: number;
}

interface Entry {
  readonly writer: LogWriter;
  users: number;
}

/**
 * The writers of functions' logs.
 *
 * Owns: which function has a writer, and how many use it now. Does not own: files (writer.ts).
 * Invariants: 1. all who use a function's log at the same time use one writer, so that writes are in order and readers are woken;
 * 2. of writers that nobody uses there are no more than the limit, those used last.
 */
export class LogWriters {
  readonly #log: Log;
  readonly #options: LogWritersOptions;
  readonly #handles: OpenHandles;
  /** The one used longest ago first. */
  readonly #entries = new Map<string, Entry>();
  /** Files that are being closed. */
  readonly #forgotten = new Set<Promise<void>>();

  constructor(deps: { readonly log: Log }, options: LogWritersOptions) {
    this.#log = deps.log;
    this.#options = options;
    this.#handles = new OpenHandles(deps, options.maximumOpenFiles);
  }

  /** The caller's until `give`, which does nothing the second time. */
  take(ref: FunctionRef): { readonly writer: LogWriter; readonly give: () => void } {
    const key = functionKey(ref);
    const entry = this.#entries.get(key) ?? { writer: this.#make(ref), users: 0 };
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    let given = false;
    const give = () => {
      if (given) return;
      given = true;
      entry.users--;
      this.#trim();
    };
    return { writer: entry.writer, give };
  }

  async use<T>(ref: FunctionRef, action: (writer: LogWriter) => Promise<T>): Promise<T> {
    const { writer, give } = this.take(ref);
    try {
      return await action(writer);
    } finally {
      give();
    }
  }

  async close(): Promise<void> {
    const released = [...this.#entries.values()].map(({ writer }) => writer.release());
    await Promise.all([...released, ...this.#forgotten]);
  }

  #make({ tenant, app, function: name }: FunctionRef): LogWriter {
    assert(
      isName(tenant) && isName(app) && isName(name),
      `not a function: ${functionKey({ tenant, app, function: name })}`,
    );
    return new LogWriter(join(this.#options.folder, tenant, app, name), this.#options, this.#handles);
  }

  #trim(): void {
    let idle = 0;
    for (const { users } of this.#entries.values()) if (users === 0) idle++;
    for (const [key, { writer, users }] of this.#entries) {
      if (idle <= this.#options.maximumOpenFiles) return;
      if (users > 0) continue;
      this.#entries.delete(key);
      idle--;
      this.#forget(writer);
    }
  }

  #forget(writer: LogWriter): void {
    const forgotten = writer
      .release()
      .catch((error) => this.#log.warn("a log file did not close", { folder: writer.folder, error }))
      .finally(() => this.#forgotten.delete(forgotten));
    this.#forgotten.add(forgotten);
  }
}
