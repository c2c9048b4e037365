/**
 * A role's process: started by the supervisor, told its configuration over the channel between them, ended by its word, by SIGTERM or by the
 * end of that channel.
 */
import { createSystemClock } from "#base/clock.ts";
import { createSocketNetwork } from "#base/link/socket-network.ts";
import { createLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { homePaths } from "./home.ts";
import type { Ending, OpenRole, RoleContext } from "./roles/context.ts";
import { storageError } from "./storage-error.ts";
import { instanceOf, type RoleMessage, type RoleStart, type RoleStatus, type SupervisorMessage } from "./supervisor.ts";

/** Each role loads only what it needs: memory is counted. */
const OPENERS: Readonly<Record<RoleStart["role"], () => Promise<{ readonly open: OpenRole }>>> = {
  control: () => import("./roles/control.ts"),
  gateway: () => import("./roles/gateway.ts"),
  agent: () => import("./roles/agent.ts"),
  spawner: () => import("./roles/spawner.ts"),
  async: () => import("./roles/async.ts"),
};

/** More than the supervisor grants, so that it is the one to tell of it. */
const CLOSE_MS = 15_000;

function tell(message: RoleMessage): void {
  if (process.connected) process.send?.(message);
}

async function run({ role, config }: RoleStart): Promise<void> {
  process.title = `colibri: ${role}`;
  const clock = createSystemClock();
  const log = createLog(
    { clock, write: (line) => process.stdout.write(line) },
    { level: config.logLevel, fields: { role } },
  );
  const stopped = new AbortController();
  const context: RoleContext = {
    role,
    config,
    paths: homePaths(config.home),
    clock,
    log,
    random: createSystemRandom(),
    network: createSocketNetwork(),
    instance: instanceOf(role),
    roles: () => statuses,
    signal: stopped.signal,
  };
  // Not once: a second one would end it before what it must end itself, as the spawner its children.
  process.on("SIGTERM", () => ending.resolve("told"));
  process.once("disconnect", () => ending.resolve("orphaned"));
  process.on("SIGINT", () => {});
  // Also while it opens: what it waits for may never come.
  void ending.promise.then(() => stopped.abort());
  // Writing the log after the supervisor has gone must not kill what is being closed.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  let isOpen = false;
  try {
    const { open } = await OPENERS[role]();
    const opened = await open(context);
    isOpen = true;
    tell({ kind: "ready", facts: opened.facts });
    log.info("ready", { ...opened.facts, pid: process.pid });
    const why = await ending.promise;
    log.info("stopping", { why });
    // Where the supervisor is gone, nobody else ends a role that can't close.
    setTimeout(() => process.exit(1), CLOSE_MS).unref();
    await opened.close(why);
    process.exit(0);
  } catch (error) {
    // What it waited for did not come before it was told to stop.
    if (stopped.signal.aborted && !isOpen) process.exit(0);
    const told = storageError(error);
    if (told !== undefined) tell({ kind: "refused", message: told.message });
    log.error("the role failed", { error });
    // The message must leave before the process does.
    setTimeout(() => process.exit(1), 50);
  }
}

let statuses: readonly RoleStatus[] = [];
const ending = Promise.withResolvers<Ending>();

process.once("message", (start: RoleStart) => {
  process.on("message", (message: SupervisorMessage) => {
    if (message.kind === "ping") tell({ kind: "pong" });
    else if (message.kind === "stop") ending.resolve("stopped");
    else statuses = message.roles;
  });
  void run(start);
});
