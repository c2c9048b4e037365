import type { Telemetry } from "#ports/telemetry/telemetry.ts";
import type { Tell } from "./event.ts";
import type { DevStarts } from "./starts.ts";

/** What functions log, told at once. Records and meters are of no use to somebody who watches. */
export function createToldTelemetry(tell: Tell, starts: Pick<DevStarts, "log">): Telemetry {
  return {
    async open() {},
    async close() {},
    dropped: 0,
    add(item) {
      if (item.kind !== "logs") return;
      const from = item.from ?? "guest";
      for (const entry of item.log.entries) starts.log(item, entry, from);
      if (item.log.dropped) tell({ kind: "logs-dropped", function: item.function, count: item.log.dropped });
    },
  };
}
