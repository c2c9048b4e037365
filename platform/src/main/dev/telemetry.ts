import type { Log, LogFields } from "#base/log.ts";
import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { Tell } from "./event.ts";

/** What functions log, told at once. Records and meters are of no use to somebody who watches. */
export function createToldTelemetry(tell: Tell): Telemetry {
  return {
    async open() {},
    async close() {},
    dropped: 0,
    add(item) {
      if (item.kind !== "logs") return;
      const from = item.from ?? "guest";
      for (const entry of item.log.entries) tell({ kind: "log", function: item.function, entry, from });
      if (item.log.dropped) tell({ kind: "logs-dropped", function: item.function, count: item.log.dropped });
    },
  };
}

export interface StartsHeard {
  ready(fn: string, revision: string): void;
  failed(fn: string, revision: string, code: string, reason: string): void;
}

/** The platform's log, from which dispatch's word on starts is taken; a test would miss it if it were said otherwise. */
export function hearStarts(log: Log, heard: StartsHeard): Log {
  const hear = (message: string, fields: LogFields | undefined) => {
    const { function: fn, revision, code, reason } = fields ?? {};
    if (message === "sandbox is ready") heard.ready(String(fn), String(revision));
    if (message === "start failed") heard.failed(String(fn), String(revision), String(code), String(reason));
  };
  return {
    ...log,
    info(message, fields) {
      log.info(message, fields);
      hear(message, fields);
    },
    warn(message, fields) {
      log.warn(message, fields);
      hear(message, fields);
    },
    with: (fields) => hearStarts(log.with(fields), heard),
  };
}
