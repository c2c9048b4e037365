/**
 * The table of drivers: which technology stands behind each port on this machine. What differs in a cluster is this list. The
 * store's stands in roles/control.ts, its one user: here every role would load the database's code. Sandboxes' are in sandbox-driver.ts.
 */
import type { PlanTopic } from "#contract/plan/plan.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createStreamPlans } from "#drivers/plans/stream/driver.ts";
import { createStreamTelemetry } from "#drivers/telemetry/stream/driver.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { Telemetry } from "#ports/telemetry/index.ts";
import type { RoleContext } from "./roles/context.ts";

export function createPlans<T extends PlanTopic>(context: RoleContext, topic: T, folder: string) {
  const { paths, role, instance } = context;
  return createStreamPlans(context, { address: paths.sockets.plan, topic, folder, role, instance, pid: process.pid });
}

export function createTelemetry(context: RoleContext): Telemetry {
  const { paths, role, instance } = context;
  return createStreamTelemetry(context, { address: paths.sockets.report, role, instance, pid: process.pid });
}

/** Control writes; agents read. */
export function createBlobs({ paths }: RoleContext, access: "write" | "read"): Blobs {
  return createFilesystemBlobs({ root: paths.blobs, readOnly: access === "read" });
}
