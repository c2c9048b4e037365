import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { LogLine } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { LogsItem } from "#contract/report/report.ts";
import { linesOf } from "./function-logs/lines.ts";
import { type LogQuery, LogReader } from "./function-logs/reader.ts";
import type { LogLimits } from "./function-logs/writer.ts";
import { LogWriters } from "./function-logs/writers.ts";

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
  const writers = new LogWriters(deps, { maximumOpenFiles: 64, ...options });
  const closing = new AbortController();

  async function* read(ref: FunctionRef, query: LogQuery, signal: AbortSignal): AsyncGenerator<LogLine> {
    const { writer, give } = writers.take(ref);
    // Whoever aborts may never ask for another line.
    signal.addEventListener("abort", give);
    try {
      yield* new LogReader({ clock: deps.clock, writer }, { functionName: ref.function, query, signal }).lines();
    } finally {
      signal.removeEventListener("abort", give);
      give();
    }
  }

  return {
    async append(items) {
      const nowMs = deps.clock.now();
      await Promise.all(items.map((item) => writers.use(item, (writer) => writer.append(linesOf(item, nowMs)))));
    },
    read(ref, query, signal) {
      if (query.since !== undefined && Number.isNaN(Date.parse(query.since)))
        throw new PlatformError(
          "request-invalid",
          `since: expected a time such as 2026-01-31T12:00:00Z, got ${query.since}`,
        );
      return read(ref, query, AbortSignal.any([signal, closing.signal]));
    },
    remove: (ref) => writers.use(ref, (writer) => writer.remove()),
    async close() {
      closing.abort();
      await writers.close();
    },
  };
}
