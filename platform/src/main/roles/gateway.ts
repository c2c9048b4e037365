import { createIds } from "#base/ids.ts";
import { createMetrics } from "#base/metrics.ts";
import { meterProcess } from "#base/process-meters.ts";
import { Dispatcher } from "#platform/dispatch/dispatcher.ts";
import { AsyncClient } from "#platform/gateway/async-client.ts";
import { Gateway } from "#platform/gateway/gateway.ts";
import { Meters } from "#platform/gateway/meters.ts";
import { Settle } from "#platform/gateway/settle.ts";
import { createPlans, createTelemetry } from "../drivers.ts";
import { nextEpoch } from "../home.ts";
import type { OpenRole } from "./context.ts";

/** Starting a runtime keeps a core busy: more at once than cores, but not many more, use them best. */
const CONCURRENT_STARTS = 4;

export const open: OpenRole = async (context) => {
  const { clock, random, network, log, paths, instance, config, signal } = context;
  const plans = createPlans(context, "routes", paths.gateway.plans);
  const telemetry = createTelemetry(context);
  const metrics = createMetrics();
  meterProcess({ clock, metrics });
  const meters = new Meters({
    metrics,
    inFlight: () => settle.inFlight,
    revisions: () => dispatch.revisions(),
  });
  const settle = new Settle({ clock, telemetry, meters });
  const dispatch = new Dispatcher(
    { clock, random, network, log, metrics, settle: (invocation) => settle.settle(invocation) },
    {
      owner: instance,
      epoch: nextEpoch(paths),
      agentAddress: paths.sockets.agent,
      concurrentStarts: CONCURRENT_STARTS,
    },
  );
  const async = new AsyncClient({ network, clock, random, log }, { address: paths.sockets.async, instance });
  const gateway = new Gateway(
    { clock, ids: createIds(clock, random), log, plans, telemetry, async, settle, meters, dispatch },
    { bind: config.bind, port: config.port },
  );
  const port = await gateway.open(signal);
  return { facts: { port }, close: () => gateway.close() };
};
