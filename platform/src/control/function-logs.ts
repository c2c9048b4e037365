import { join } from "node:path";
import { assert } from "#base/assert.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { LogLine } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import { type FunctionRef, functionKey, isName } from "#contract/names.ts";
import type { LogsItem } from "#contract/report/report.ts";
import { linesOf } from "./function-logs/lines.ts";
import { type LogQuery, LogReader } from "./function-logs/reader.ts";
import { type LogLimits, LogWriter, OpenHandles } from "./function-logs/writer.ts";

export type { LogQuery } from "./function-logs/reader.ts";

export interface FunctionLogsOptions extends LogLimits {
  /** Logs are at `<folder>/<tenant>/<app>/<function>/<number>.ndjson`. */
  readonly folder: string;
  /** Files kept open for writing. Default 64. */
  readonly maximumOpenFiles?: number;
}

/** What functions write, by function, on disk. */
export interface FunctionLogs {
  /** Resolves when all is in the files (of the system: a crash of the process loses nothing). */
  append(items: readonly LogsItem[]): Promise<void>;
  /** Oldest first. Ends when all was given, with `follow` when the signal aborts, the log is removed or closed. */
  read(ref: FunctionRef, query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
  /** When a function is deleted. Readers come to their end. */
  remove(ref: FunctionRef): Promise<void>;
  close(): Promise<void>;
}

export function createFunctionLogs(
  deps: { readonly clock: Clock; readonly log: Log },
  options: FunctionLogsOptions,
): FunctionLogs {
  const writers = new Map<string, LogWriter>();
  const handles = new OpenHandles(deps, options.maximumOpenFiles ?? 64);
  const closing = new AbortController();

  function writerOf(ref: FunctionRef): LogWriter {
    const { tenant, app, function: name } = ref;
    assert(isName(tenant) && isName(app) && isName(name), `not a function: ${functionKey(ref)}`);
    const key = functionKey(ref);
    let writer = writers.get(key);
    if (writer === undefined) {
      writer = new LogWriter(join(options.folder, tenant, app, name), options, handles);
      writers.set(key, writer);
    }
    return writer;
  }

  return {
    async append(items) {
      const nowMs = deps.clock.now();
      const appended = new Set(items.map((item) => writerOf(item).append(linesOf(item, nowMs))));
      await Promise.all(appended);
    },
    read(ref, query, signal) {
      if (query.since !== undefined && Number.isNaN(Date.parse(query.since)))
        throw new PlatformError(
          "request-invalid",
          `since: expected a time such as 2026-01-31T12:00:00Z, got ${query.since}`,
        );
      const either = AbortSignal.any([signal, closing.signal]);
      const reading = { functionName: ref.function, query, signal: either };
      return new LogReader({ clock: deps.clock, writer: writerOf(ref) }, reading).lines();
    },
    remove: (ref) => writerOf(ref).remove(),
    async close() {
      closing.abort();
      await Promise.all([...writers.values()].map((writer) => writer.release()));
    },
  };
}
