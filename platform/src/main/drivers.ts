/**
 * The table of drivers: which technology stands behind each port on this machine. What differs in a cluster is this list. The
 * store's stands in roles/control.ts, its one user: here every role would load the database's code.
 */
import { PlatformError } from "#contract/errors.ts";
import type { PlanTopic } from "#contract/plan/plan.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { createStreamPlans } from "#drivers/plans/stream/driver.ts";
import { createProcessDriver } from "#drivers/sandbox/process/driver.ts";
import { createStreamTelemetry } from "#drivers/telemetry/stream/driver.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { SandboxDriver } from "#ports/sandbox/index.ts";
import type { Telemetry } from "#ports/telemetry/index.ts";
import type { SandboxChoice } from "./config.ts";
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

/** What can be chosen today. `auto` is the best that works here. */
export const SANDBOX_TECHNOLOGIES = Object.freeze({
  process: { isolation: "none", summary: "plain processes, no isolation: for code you trust" },
});

/** @throws PlatformError for a technology that this version does not have: never something weaker in its place. */
export function createSandboxDriver(context: RoleContext): SandboxDriver {
  const technology = chooseSandbox(context.config.sandbox);
  switch (technology) {
    case "process":
      return createProcessDriver(context, {
        folder: `${context.paths.agent.home}/sandboxes`,
        spawner: context.paths.sockets.spawner,
      });
  }
}

export function chooseSandbox(choice: SandboxChoice): keyof typeof SANDBOX_TECHNOLOGIES {
  if (choice === "auto" || choice === "process") return "process";
  throw new PlatformError(
    "unavailable",
    `COLIBRI_SANDBOX=${choice}: ${choice} sandboxes are not part of this version; use process (no isolation) or leave it out`,
  );
}
