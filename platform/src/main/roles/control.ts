import { readFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { createIds } from "#base/ids.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import { meterProcess } from "#base/process-meters.ts";
import { createSqliteStore } from "#drivers/store/sqlite/driver.ts";
import { createBuilder } from "#platform/builder/builder.ts";
import { ADMIN, createTokens, hashToken } from "#platform/control/access.ts";
import { createControl } from "#platform/control/control.ts";
import { createFunctionLogs } from "#platform/control/function-logs.ts";
import { createReportedMetrics } from "#platform/control/metrics.ts";
import { createPlanServer } from "#platform/control/plan-server.ts";
import { createRecords } from "#platform/control/records.ts";
import { createReportServer, type ReportServer, type ReportSinks } from "#platform/control/report-server.ts";
import { createStorage, type Place } from "#platform/control/storage.ts";
import { meterStore } from "#ports/store/index.ts";
import packageJson from "../../../../package.json" with { type: "json" };
import { builderOptions, findRuntimesHere } from "../builder-options.ts";
import { createBlobs } from "../drivers.ts";
import { ISOLATION } from "../sandbox-choice.ts";
import type { OpenRole, RoleContext } from "./context.ts";

const MIB = 1024 * 1024;
/** So long a deployment waits for gateways that do not confirm it. */
const SETTLE_MS = 3_000;
const FUNCTION_LOGS = "function logs";
const RECORDS = "records";
/** Of one function's log on disk. */
const LOG_LIMITS = { maximumFileBytes: 8 * MIB, maximumFiles: 8, maximumFunctionBytes: 64 * MIB } as const;

export const open: OpenRole = async (context) => {
  const { clock, random, network, log, paths, config, signal } = context;
  const ids = createIds(clock, random);
  const crash = (error: Error) => {
    log.error("a worker of control is lost", { error });
    process.exit(1);
  };
  const own = createMetrics();
  const store = meterStore(createSqliteStore({ onLost: crash }, { path: paths.control.store, id: ids.next() }), own);
  const blobs = createBlobs(context, "write");
  const runtimes = await findRuntimesHere();
  const { logs, records, metrics, reports, storage } = createObservation(context, crash);
  const builder = createBuilder({ blobs, clock, ids, log }, builderOptions(paths.build, runtimes));
  const technology = config.sandbox === "container" ? "container" : "process";
  const token = { hash: hashToken(readFileSync(paths.token, "utf8").trim()), principal: ADMIN };
  const control = createControl(
    {
      ...{ store, blobs, builder, logs, records, clock, random, ids, log },
      tokens: createTokens([token]),
      runtimes: () => runtimes.list().map(({ name, version }) => ({ name, version, available: true, detail: "" })),
      roles: () => context.roles().map((role) => ({ ...role })),
      dropped: () => reports.dropped(),
      storage: () => storage.problems(),
      metrics() {
        meterDrops(own, reports);
        metrics.put({ role: context.role, instance: context.instance }, own.render());
        return metrics.render();
      },
      settled: (number, signal) => plans.settled("routes", number, SETTLE_MS, signal),
    },
    {
      ...{ bind: config.bind, port: config.controlPort, version: packageJson.version },
      uploadsFolder: paths.uploads,
      sandbox: { technology, isolation: ISOLATION[technology], detail: config.sandboxDetail },
    },
  );
  const plans = createPlanServer({ network, clock, log, feed: control.feed }, { address: paths.sockets.plan });
  meterProcess({ clock, metrics: own });
  await records.open(signal);
  await builder.open(signal);
  await reports.open(signal);
  const port = await control.open(signal);
  await plans.open(signal);
  return {
    facts: { port },
    async close() {
      for (const part of [control, builder, plans, reports, records, logs]) await part.close();
    },
  };
};

/** What the roles report, and where control keeps it. */
function createObservation({ clock, log, network, paths }: RoleContext, crash: (error: Error) => void) {
  const logs = createFunctionLogs({ clock, log }, { folder: paths.control.logs, ...LOG_LIMITS });
  const records = createRecords({ clock, log, onLost: crash }, { path: paths.control.records });
  const metrics = createReportedMetrics({ clock });
  const storage = createStorage({ clock }, placesOf(paths));
  const sinks: ReportSinks = {
    records: (items) => storage.follow(RECORDS, records.append(items)),
    logs: (items) => storage.follow(FUNCTION_LOGS, logs.append(items)),
    meters: (reporter, text) => metrics.put(reporter, text),
  };
  const reports = createReportServer({ network, clock, log, sinks }, { address: paths.sockets.report });
  return { logs, records, metrics, reports, storage };
}

/** Whoever has reported since control started. */
function meterDrops(metrics: Metrics, reports: ReportServer): void {
  const help = "Records and lines of functions that could not be kept, in items of the report stream.";
  for (const reporter of Object.keys(reports.dropped()))
    metrics.read("colibri_reports_dropped_total", help, { reporter }, () => reports.dropped()[reporter] ?? 0);
}

function placesOf({ control, platformLog }: RoleContext["paths"]): Place[] {
  return [
    { what: FUNCTION_LOGS, folder: control.logs },
    { what: RECORDS, folder: dirname(control.records), files: [basename(control.records)] },
    { what: "resources", folder: dirname(control.store), files: [basename(control.store)] },
    { what: "platform log", folder: dirname(platformLog), files: [basename(platformLog)] },
  ];
}
