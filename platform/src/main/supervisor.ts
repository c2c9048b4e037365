import { type ChildProcess, fork } from "node:child_process";
import type { Readable } from "node:stream";
import { createBackoff } from "#base/backoff.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { readMainThread } from "#base/process-group.ts";
import type { Random } from "#base/random.ts";
import type { Config } from "./config.ts";
import { homePaths } from "./home.ts";
import { type Watch, Watchdog } from "./watchdog.ts";

/** In the order in which they are stopped: no new work first, what others lean on last. */
export const ROLES = ["gateway", "async", "agent", "spawner", "control"] as const;
export type Role = (typeof ROLES)[number];

/** What a role tells the supervisor. */
export type RoleMessage =
  /** The answer to a ping: its event loop turns. */
  | { readonly kind: "pong" }
  | { readonly kind: "ready"; readonly facts: Readonly<Record<string, unknown>> }
  /** It can't start, and trying again would not help. */
  | { readonly kind: "refused"; readonly message: string };

/** What the supervisor tells a role first. */
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

/** What the supervisor tells a role later. */
export type SupervisorMessage =
  | { readonly kind: "ping" }
  /** The platform stops, and this role with it: unlike after SIGTERM, nobody will take over what it leaves. */
  | { readonly kind: "stop" }
  /** Told to control whenever it changes. */
  | { readonly kind: "roles"; readonly roles: readonly RoleStatus[] };

export interface SupervisorEvents {
  ready(role: Role, facts: Readonly<Record<string, unknown>>): void;
  refused(role: Role, message: string): void;
  /** It ended unasked and is started again. */
  ended(role: Role, how: string): void;
  /** Whole lines of a role's own log. */
  output(role: Role, lines: string): void;
}

export interface SupervisorOptions {
  /** Asked at every start of a role: a port that was chosen for it stays the same. */
  readonly config: () => Config;
  /** What a role's process runs. */
  readonly program: URL;
  /** How often roles are asked for a sign of life. Default 1 s. */
  readonly pingMs?: number;
  /** A role that lives and gives none for so long is killed. Default 10 s. */
  readonly hungMs?: number;
}

/** The name of a role on this host, the same over restarts. */
export function instanceOf(role: Role): string {
  return `${role}-1`;
}

const PING_MS = 1_000;
const HUNG_MS = 10_000;
const FIRST_RESTART_MS = 100;
const LONGEST_RESTART_MS = 5_000;
/** A role that lived so long starts over with the shortest wait. */
const STABLE_MS = 30_000;
const STOP_MS = 10_000;
/** For the rest of a role's output after it has exited: somebody it started may hold the pipe open. */
const TRAILING_MS = 200;
const LONGEST_LINE = 64 * 1024;

interface Unit {
  readonly role: Role;
  child: ChildProcess | undefined;
  status: RoleStatus;
  /** It was killed because it gave no sign of life. */
  hung: boolean;
  exited: Promise<void>;
  stopping: boolean;
}

/**
 * Runs roles as processes and restarts what dies, with backoff; what hangs is killed first (watchdog.ts). A role whose supervisor
 * is gone ends itself (role.ts), so that nothing is left behind, however the supervisor ended.
 */
export class Supervisor {
  readonly #deps: { clock: Clock; random: Random; log: Log };
  readonly #options: SupervisorOptions;
  readonly #events: SupervisorEvents;
  readonly #units = new Map<Role, Unit>();
  readonly #watchdog: Watchdog;
  readonly #stopping = new AbortController();

  constructor(deps: { clock: Clock; random: Random; log: Log }, options: SupervisorOptions, events: SupervisorEvents) {
    this.#deps = deps;
    this.#options = options;
    this.#events = events;
    const { pingMs = PING_MS, hungMs = HUNG_MS } = options;
    this.#watchdog = new Watchdog({ clock: deps.clock, look: readMainThread }, { everyMs: pingMs, hungMs });
  }

  start(role: Role): void {
    const status = this.#statusOf(role, 0, "away");
    const unit: Unit = { role, child: undefined, status, hung: false, exited: Promise.resolve(), stopping: false };
    this.#units.set(role, unit);
    unit.exited = this.#keep(unit);
  }

  /** One after the other; what does not stop in time is killed. */
  async stop(): Promise<void> {
    for (const unit of this.#units.values()) unit.stopping = true;
    this.#stopping.abort();
    for (const role of ROLES) {
      const unit = this.#units.get(role);
      if (unit === undefined) continue;
      const timer = this.#deps.clock.after(STOP_MS, () => unit.child?.kill("SIGKILL"));
      if (unit.child !== undefined) send(unit.child, { kind: "stop" });
      await unit.exited;
      this.#deps.clock.cancel(timer);
    }
  }

  /** At once. The spawner is given SIGTERM, since what it started would outlive a kill. */
  kill(): void {
    for (const unit of this.#units.values()) {
      unit.stopping = true;
      unit.child?.kill(unit.role === "spawner" ? "SIGTERM" : "SIGKILL");
    }
  }

  async #keep(unit: Unit): Promise<void> {
    const { clock, log } = this.#deps;
    const backoff = createBackoff(this.#deps.random, { firstMs: FIRST_RESTART_MS, maximumMs: LONGEST_RESTART_MS });
    while (!unit.stopping) {
      const begun = clock.monotonic();
      const ended = await this.#run(unit);
      unit.status = this.#statusOf(unit.role, 0, "away");
      this.#tellControl();
      if (unit.stopping) return;
      if (clock.monotonic() - begun > STABLE_MS) backoff.reset();
      const pauseMs = backoff.next();
      this.#events.ended(unit.role, ended);
      log.warn("a role ended and is started again", { role: unit.role, ended, pauseMs: Math.round(pauseMs) });
      await pause(pauseMs, this.#stopping.signal);
    }
  }

  /** Resolves with how it ended. */
  #run(unit: Unit): Promise<string> {
    const config = this.#options.config();
    const child = fork(this.#options.program, [unit.role], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      execArgv: [],
      env: { ...process.env, NODE_COMPILE_CACHE: homePaths(config.home).compiled },
      // A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which stops the roles in order.
      detached: true,
    });
    unit.child = child;
    unit.hung = false;
    child.send({ role: unit.role, config } satisfies RoleStart, () => {});
    const watch = this.#watch(unit, child);
    child.on("message", (message: RoleMessage) => {
      if (message.kind === "pong") watch.answered();
      else if (message.kind === "ready") this.#up(unit, child.pid ?? 0, message.facts);
      else this.#events.refused(unit.role, message.message);
    });
    this.#forward(child.stdout, (lines) => this.#events.output(unit.role, lines));
    // Not the role's log, but what Node says of its end.
    this.#forward(child.stderr, (lines) => this.#deps.log.warn(lines.trimEnd(), { role: unit.role }));
    return new Promise((resolve) => {
      child.on("error", (error) => {
        watch.end();
        resolve(error.message);
      });
      child.once("exit", (code, signal) => {
        watch.end();
        const ended = unit.hung ? this.#hungFor() : (signal ?? `exit code ${code}`);
        child.once("close", () => resolve(ended));
        setTimeout(() => resolve(ended), TRAILING_MS);
      });
    });
  }

  #watch(unit: Unit, child: ChildProcess): Watch {
    return this.#watchdog.watch({
      pid: child.pid ?? 0,
      ask: () => send(child, { kind: "ping" }),
      hung: () => {
        // One that is to end has its own limit.
        if (unit.stopping) return;
        unit.hung = true;
        child.kill("SIGKILL");
      },
    });
  }

  #hungFor(): string {
    return `it gave no sign of life for ${(this.#options.hungMs ?? HUNG_MS) / 1_000} s and was killed`;
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
      send(control, { kind: "roles", roles: [...this.#units.values()].map(({ status }) => status) });
  }

  /** Line by line, since the lines of all roles go to one file. */
  #forward(stream: Readable | null, write: (lines: string) => void): void {
    let rest = "";
    stream?.setEncoding("utf8").on("data", (text: string) => {
      const whole = rest.length + text.length > LONGEST_LINE ? text.length : text.lastIndexOf("\n") + 1;
      if (whole > 0) write(endLine(rest + text.slice(0, whole)));
      rest = whole > 0 ? text.slice(whole) : rest + text;
    });
    stream?.once("end", () => {
      if (rest !== "") write(endLine(rest));
    });
  }
}

function send(child: ChildProcess, message: SupervisorMessage): void {
  if (child.connected) child.send(message, () => {});
}

function endLine(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}

/** Keeps the process alive, as the clock's timers do not: there may be nothing else until the role is started again. */
function pause(pauseMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, pauseMs);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
