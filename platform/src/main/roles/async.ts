import { createMetrics } from "#base/metrics.ts";
import { meterProcess } from "#base/process-meters.ts";
import { createAsyncRole } from "#platform/async/async.ts";
import { createTelemetry } from "../drivers.ts";
import { reportMeters } from "../meters.ts";
import type { OpenRole } from "./context.ts";

export const open: OpenRole = async (context) => {
  const { network, clock, log, paths, instance, signal } = context;
  const role = createAsyncRole({ network, clock, log }, { address: paths.sockets.async, instance });
  const telemetry = createTelemetry(context);
  const metrics = createMetrics();
  await telemetry.open(signal);
  await role.open();
  meterProcess({ clock, metrics });
  reportMeters({ clock, telemetry, metrics });
  return {
    facts: {},
    async close() {
      await role.close();
      await telemetry.close();
    },
  };
};
