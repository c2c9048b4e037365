import { ROOM, telemetryConformance } from "#ports/telemetry/conformance.ts";
import { createMemoryTelemetry } from "./driver.ts";

telemetryConformance("memory", async () => {
  const telemetry = createMemoryTelemetry({ maximumItems: ROOM });
  return {
    telemetry,
    received: () => telemetry.items,
    settle: async () => {},
    away: async (isAway) => telemetry.away(isAway),
    dispose: async () => {},
  };
});
