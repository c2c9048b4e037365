import { type ChildProcess, fork } from "node:child_process";
import type { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { createBackoff } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Config } from "./config.ts";
import { homePaths } from "./home.ts";
import { WholeLines } from "./whole-lines.ts";

/** In the order in which they are stopped: no new work first, what others lean on last. */
export const ROLES = ["gateway", "async", "agent", "spawner", "control"] as const;
export type Role = (typeof ROLES)[number];

/** What a role tells the supervisor. */
export type RoleMessage =
  | { readonly kind: "ready"; readonly facts: Readonly<Record<string, unknown>> }
  /** It can't start, and trying again would not help. */
  | { readonly kind: "refused"; readonly message: string };

/** What the supervisor tells a role, once. */
export interface RoleStart {
  readonly role: Role;
  readonly config: Config;
}

/** As control shows it. */
export interface RoleStatus {
  readonly role: Role;
  readonly instance: string;
  readonly pid: number;
  readonly state: "up" | "away";
  /** RFC 3339. */
  readonly since: string;
}

/** Told to control whenever it changes. */
export interface RoleStatuses {
  readonly roles: readonly RoleStatus[];
}

export interface SupervisorEvents {
  ready(role: Role, facts: Readonly<Record<string, unknown>>): void;
  refused(role: Role, message: string): void;
  /** Whole lines of a role's own log. */
  output(role: Role, text: string): void;
}

/** The name of a role on this host, the same over restarts. */
export function instanceOf(role: Role): string {
  return `${role}-1`;
}

const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 5_000;
/** A role that lived so long starts over with the shortest wait. */
const STABLE_MS = 30_000;
const STOP_MS = 10_000;

interface Unit {
  readonly role: Role;
  child: ChildProcess | undefined;
  status: RoleStatus;
  exited: Promise<void>;
  /** Aborts when it is to stop: a wait for its next start ends then. */
  readonly stopping: AbortController;
}

/**
 * Runs roles as processes and restarts what dies, with backoff. A role whose supervisor is gone ends itself (role.ts), so that
 * nothing is left behind, however the supervisor ended.
 */
export class Supervisor {
  readonly #deps: { clock: Clock; random: Random; log: Log };
  readonly #config: Config;
  readonly #events: SupervisorEvents;
  readonly #units = new Map<Role, Unit>();

  constructor(deps: { clock: Clock; random: Random; log: Log }, config: Config, events: SupervisorEvents) {
    this.#deps = deps;
    this.#config = config;
    this.#events = events;
  }

  start(role: Role): void {
    const status = this.#statusOf(role, 0, "away");
    const unit: Unit = { role, child: undefined, status, exited: Promise.resolve(), stopping: new AbortController() };
    this.#units.set(role, unit);
    unit.exited = this.#keep(unit);
  }

  /** One after the other; what does not stop in time is killed. */
  async stop(): Promise<void> {
    for (const unit of this.#units.values()) unit.stopping.abort();
    for (const role of ROLES) {
      const unit = this.#units.get(role);
      if (unit === undefined) continue;
      const timer = this.#deps.clock.after(STOP_MS, () => unit.child?.kill("SIGKILL"));
      unit.child?.kill("SIGTERM");
      await unit.exited;
      this.#deps.clock.cancel(timer);
    }
  }

  /** At once. The spawner is given SIGTERM, since what it started would outlive a kill. */
  kill(): void {
    for (const unit of this.#units.values()) {
      unit.stopping.abort();
      unit.child?.kill(unit.role === "spawner" ? "SIGTERM" : "SIGKILL");
    }
  }

  async #keep(unit: Unit): Promise<void> {
    const { clock, log } = this.#deps;
    const { signal } = unit.stopping;
    const backoff = createBackoff(this.#deps.random, { firstMs: FIRST_RESTART_MS, maximumMs: LONGEST_RESTART_MS });
    while (!signal.aborted) {
      const begun = clock.monotonic();
      const ended = await this.#run(unit);
      unit.status = this.#statusOf(unit.role, 0, "away");
      this.#tellControl();
      if (signal.aborted) return;
      if (clock.monotonic() - begun > STABLE_MS) backoff.reset();
      const pauseMs = backoff.next();
      log.warn("a role ended and is started again", { role: unit.role, ended, pauseMs: Math.round(pauseMs) });
      // Not the clock's timer: that would let the process end, where this role is the only one.
      await pause(pauseMs, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves with how it ended. */
  #run(unit: Unit): Promise<string> {
    const child = fork(new URL("./role.ts", import.meta.url), [unit.role], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: homePaths(this.#config.home).compiled },
      // A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which stops the roles in order.
      detached: true,
    });
    unit.child = child;
    tell(child, { role: unit.role, config: this.#config } satisfies RoleStart);
    child.on("message", (message: RoleMessage) => {
      if (message.kind === "ready") this.#up(unit, child.pid ?? 0, message.facts);
      else this.#events.refused(unit.role, message.message);
    });
    for (const stream of [child.stdout, child.stderr]) this.#forward(unit.role, stream);
    return new Promise((resolve) => {
      // One that could not be started never closes.
      child.on("error", (error) => child.pid === undefined && resolve(error.message));
      child.once("close", (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
  }

  #up(unit: Unit, pid: number, facts: Readonly<Record<string, unknown>>): void {
    unit.status = this.#statusOf(unit.role, pid, "up");
    this.#tellControl();
    this.#events.ready(unit.role, facts);
  }

  #statusOf(role: Role, pid: number, state: RoleStatus["state"]): RoleStatus {
    return { role, instance: instanceOf(role), pid, state, since: new Date(this.#deps.clock.now()).toISOString() };
  }

  #tellControl(): void {
    const control = this.#units.get("control")?.child;
    if (control !== undefined)
      tell(control, { roles: [...this.#units.values()].map(({ status }) => status) } satisfies RoleStatuses);
  }

  #forward(role: Role, stream: Readable | null): void {
    const lines = new WholeLines((text) => this.#events.output(role, text));
    stream?.setEncoding("utf8").on("data", (text: string) => lines.push(text));
    stream?.on("close", () => lines.end());
  }
}

/** What can't be told to a child that ends is not worth telling: its end follows. */
function tell(child: ChildProcess, message: RoleStart | RoleStatuses): void {
  if (child.connected) child.send(message, () => {});
}
