import { readFileSync } from "node:fs";
import { createIds } from "#base/ids.ts";
import { createSqliteStore } from "#drivers/store/sqlite/driver.ts";
import { findRuntimes } from "#platform/agent/index.ts";
import { createBuilder } from "#platform/builder/builder.ts";
import { ADMIN, createTokens, hashToken } from "#platform/control/access.ts";
import { createControl } from "#platform/control/control.ts";
import { Forgetting } from "#platform/control/forgetting.ts";
import { createFunctionLogs } from "#platform/control/function-logs.ts";
import { createReportedMetrics } from "#platform/control/metrics.ts";
import { createPlanServer } from "#platform/control/plan-server.ts";
import { createRecords } from "#platform/control/records.ts";
import { createReportServer } from "#platform/control/report-server.ts";
import packageJson from "../../../../package.json" with { type: "json" };
import { chooseSandbox, createBlobs, SANDBOX_TECHNOLOGIES } from "../drivers.ts";
import type { OpenRole } from "./context.ts";

const MIB = 1024 * 1024;
/** Of one function's log on disk. */
const LOG_LIMITS = { maximumFileBytes: 8 * MIB, maximumFiles: 8, maximumFunctionBytes: 64 * MIB } as const;

export const open: OpenRole = async (context) => {
  const { clock, random, network, log, paths, config, signal } = context;
  const ids = createIds(clock, random);
  const crash = (error: Error) => {
    log.error("a worker of control is lost", { error });
    process.exit(1);
  };
  const store = createSqliteStore({ onLost: crash }, { path: paths.control.store, id: ids.next() });
  const blobs = createBlobs(context, "write");
  const runtimes = await findRuntimes({
    guests: { nodejs: "", python: "" },
    node: { path: process.execPath, version: process.versions.node },
    searchPath: process.env.PATH ?? "",
  });
  const logs = createFunctionLogs({ clock, log }, { folder: paths.control.logs, ...LOG_LIMITS });
  const records = createRecords({ clock, log, onLost: crash }, { path: paths.control.records });
  const metrics = createReportedMetrics({ clock });
  const reports = createReportServer(
    {
      network,
      clock,
      log,
      sinks: {
        records: (items) => records.append(items),
        logs: (items) => logs.append(items),
        meters: (reporter, text) => metrics.put(reporter, text),
      },
    },
    { address: paths.sockets.report },
  );
  const builder = createBuilder(
    { blobs, clock, ids, log },
    {
      folder: paths.build,
      environment: process.env,
      node: { program: process.execPath, version: `${process.version} ${process.platform} ${process.arch}` },
      npm: ["npm"],
      python: {
        command: runtimes.get("python")?.command.slice(0, 1) ?? ["python3"],
        version: runtimes.list().find(({ name }) => name === "python")?.version ?? "",
      },
    },
  );
  const technology = chooseSandbox(config.sandbox);
  const control = createControl(
    {
      store,
      blobs,
      builder,
      logs,
      records,
      tokens: createTokens([{ hash: hashToken(readFileSync(paths.token, "utf8").trim()), principal: ADMIN }]),
      runtimes: () => runtimes.list().map(({ name, version }) => ({ name, version, available: true, detail: "" })),
      roles: () => roles(),
      dropped: () => reports.dropped(),
      metrics: () => metrics.render(),
      clock,
      random,
      ids,
      log,
    },
    {
      bind: config.bind,
      port: config.controlPort,
      version: packageJson.version,
      sandbox: { technology, isolation: SANDBOX_TECHNOLOGIES[technology].isolation },
    },
  );
  const plans = createPlanServer({ network, clock, log, feed: control.feed }, { address: paths.sockets.plan });
  const roles = () =>
    [...reports.reporters()].map(({ role, instance, pid, since }) => ({
      role,
      instance,
      pid,
      since,
      state: "up" as const,
    }));
  await records.open(signal);
  await builder.open(signal);
  await reports.open(signal);
  const port = await control.open(signal);
  await plans.open(signal);
  const forgetting = new Forgetting({
    feed: control.feed,
    log,
    remove: async (ref) => {
      await logs.remove(ref);
      await records.remove(ref);
    },
  });
  return {
    facts: { port },
    async close() {
      await control.close();
      await builder.close();
      await forgetting.close();
      await plans.close();
      await reports.close();
      await records.close();
      await logs.close();
    },
  };
};
