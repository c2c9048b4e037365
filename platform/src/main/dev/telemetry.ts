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
