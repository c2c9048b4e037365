import type { Clock } from "#base/clock.ts";
import type { Network } from "#base/link/link.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Config } from "../config.ts";
import type { HomePaths } from "../home.ts";
import type { Role, RoleStatus } from "../supervisor.ts";

/** What every role is given. */
export interface RoleContext {
  readonly role: Role;
  readonly config: Config;
  readonly paths: HomePaths;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: Random;
  readonly network: Network;
  /** Of this role on this host, the same over restarts. */
  readonly instance: string;
  /** Every role on this host, as the supervisor last told. */
  readonly roles: () => readonly RoleStatus[];
  /** Aborts when the role is told to stop. */
  readonly signal: AbortSignal;
}

/** Why a role ends: it alone was told to, the whole platform stops, or its supervisor is gone, which comes to the same. */
export type Ending = "told" | "stopped" | "orphaned";

export interface OpenedRole {
  /** Told to the supervisor: ports, for example. */
  readonly facts: Readonly<Record<string, unknown>>;
  close(why: Ending): Promise<void>;
}

export type OpenRole = (context: RoleContext) => Promise<OpenedRole>;
