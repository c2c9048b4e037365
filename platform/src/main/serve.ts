import { rmSync } from "node:fs";
import { totalmem } from "node:os";
import { createSystemClock } from "#base/clock.ts";
import { createLog, type Log } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import { count } from "#contract/count.ts";
import { PlatformError } from "#contract/errors.ts";
import { enterOwnMounts } from "#drivers/sandbox/container/own-mounts.ts";
import { type Addresses, banner } from "./banner.ts";
import { compileAhead } from "./compile-ahead.ts";
import { type Config, readConfig } from "./config.ts";
import { homeKey, homePaths, prepareHome, readOrCreateToken, shutToken, writeDurably } from "./home.ts";
import { lockHome } from "./home-lock.ts";
import { markHost } from "./host-mark.ts";
import { countSandboxes } from "./leftovers.ts";
import { PlatformLog } from "./platform-log.ts";
import { chooseSandbox, type SandboxChosen } from "./sandbox-choice.ts";
import { doubtsOf, settingsInForce } from "./settings.ts";
import { storageError } from "./storage-error.ts";
import { ROLES, type Role, Supervisor } from "./supervisor.ts";

const MIB = 1024 * 1024;
const PLATFORM_LOG = { maximumBytes: 20 * 1024 * 1024, files: 5 } as const;
/** One Ctrl-C may arrive twice, from the terminal and from the launcher; only a later one means "now". */
const SAME_SIGNAL_MS = 200;

/** Those that can be asked for: the spawner comes with the agent, which can do nothing without it. */
const CHOICES = ROLES.filter((role) => role !== "spawner");

/** In the order in which they are started. @throws PlatformError naming the roles there are. */
export function chosenRoles(given: string | undefined): Role[] {
  const all = [...ROLES].reverse();
  if (given === undefined) return all;
  const names = given.split(",");
  const unknown = names.find((name) => !CHOICES.some((role) => role === name));
  if (unknown !== undefined)
    throw new PlatformError(
      "request-invalid",
      `--role=${given}: there is no role ${JSON.stringify(unknown)}; the roles are ${CHOICES.join(", ")}`,
    );
  return all.filter((role) => names.includes(role === "spawner" ? "agent" : role));
}

/** Runs the platform, or the roles `given` as `control,gateway`, until it is told to stop. Resolves with the exit code. */
export async function serve(given: string | undefined): Promise<number> {
  try {
    const config = readConfig(process.env, process.cwd());
    for (const { what, remedy } of doubtsOf(config, process.env, totalmem() / MIB))
      console.error(`colibri: warning: ${what} → ${remedy}`);
    const chosen = await chooseSandbox(config, process.env.PATH ?? "");
    return await new Platform(config, chosen, chosenRoles(given)).run();
  } catch (error) {
    const told = storageError(error);
    if (told === undefined) throw error;
    console.error(`colibri: ${told.message}`);
    return 1;
  }
}

/** Nobody can take over sandboxes whose mounts went with an earlier platform: the agent ends them. */
function tellLeft(home: string, log: Log): void {
  const sandboxes = countSandboxes(homeKey(home));
  if (sandboxes === 0) return;
  console.log(
    `An earlier platform was killed: ${count(sandboxes, "sandbox", "sandboxes")} that it left will be ended.`,
  );
  log.info("sandboxes that an earlier platform left are ended", { sandboxes });
}

/** The platform on this machine: home, supervisor, terminal. */
class Platform {
  #config: Config;
  readonly #chosen: SandboxChosen;
  readonly #paths: ReturnType<typeof homePaths>;
  readonly #roles: readonly Role[];
  readonly #ended = Promise.withResolvers<number>();
  readonly #facts = new Map<Role, Readonly<Record<string, unknown>>>();
  /** Why a role can't start again, as it was last told. */
  readonly #told = new Map<Role, string>();
  #shown = false;

  constructor(config: Config, chosen: SandboxChosen, roles: readonly Role[]) {
    this.#config = { ...config, sandbox: chosen.technology, sandboxDetail: chosen.detail };
    this.#chosen = chosen;
    this.#paths = homePaths(config.home);
    this.#roles = roles;
  }

  async run(): Promise<number> {
    process.title = "colibri: supervisor";
    const clock = createSystemClock();
    const random = createSystemRandom();
    prepareHome(this.#paths);
    const unlock = lockHome(this.#paths);
    let unmark = () => {};
    const platformLog: PlatformLog = new PlatformLog(
      this.#paths.platformLog,
      {
        clock,
        onBroken: (error) => this.#tellLogBroken(error),
        onTriedAgain: (lines) => log.warn("lines of this log could not be written and are lost", { count: lines }),
      },
      PLATFORM_LOG,
    );
    const log = createLog(
      { clock, write: (line) => platformLog.write(line) },
      { level: this.#config.logLevel, fields: { role: "supervisor" } },
    );
    try {
      readOrCreateToken(this.#paths, random);
      const shut = shutToken(this.#paths);
      if (shut !== undefined) console.error(`colibri: ${shut}`);
      const options = { config: () => this.#configNow(), program: new URL("./role.ts", import.meta.url) };
      const supervisor = new Supervisor({ clock, random, log }, options, {
        ready: (role, facts) => this.#refusesFailure(role, () => this.#ready(role, facts)),
        refused: (role, message) => this.#refused(role, message),
        ended: (role, how) => this.#tellEnded(role, how),
        output: (_role, lines) => platformLog.write(lines),
      });
      this.#listenForSignals(supervisor);
      if (this.#config.sandbox === "container" && this.#roles.includes("agent")) {
        unmark = markHost(this.#config.home);
        tellLeft(this.#config.home, log);
        await enterOwnMounts();
      }
      await compileAhead(this.#paths, process.version);
      for (const role of this.#roles) supervisor.start(role);
      const code = await this.#ended.promise;
      await supervisor.stop();
      if (this.#shown) console.log("Colibri has stopped.");
      return code;
    } finally {
      rmSync(this.#paths.addresses, { force: true });
      const closed = await platformLog.close();
      unmark();
      unlock();
      // An exit would wait for the thread that the disk holds.
      if (closed === "hangs") process.kill(process.pid, "SIGKILL");
    }
  }

  #listenForSignals(supervisor: Supervisor): void {
    let first = 0;
    const stop = () => {
      const now = performance.now();
      if (first === 0) {
        first = now;
        if (this.#shown) console.log("\nStopping… (Ctrl-C again to stop at once)");
        this.#ended.resolve(0);
      } else if (now - first > SAME_SIGNAL_MS) supervisor.kill();
    };
    // The launcher was killed, which nobody does to have the platform go on.
    process.once("disconnect", stop);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);
  }

  #ready(role: Role, facts: Readonly<Record<string, unknown>>): void {
    this.#told.delete(role);
    this.#facts.set(role, facts);
    if (this.#shown || !this.#roles.every((name) => this.#facts.has(name))) return;
    this.#shown = true;
    const host = this.#config.bind.includes(":") ? `[${this.#config.bind}]` : this.#config.bind;
    const { port, controlPort } = this.#configNow();
    const addresses: Addresses = {
      functions: `http://${host}:${port}`,
      control: `http://${host}:${controlPort}`,
    };
    writeDurably(
      this.#paths.addresses,
      `${JSON.stringify({ pid: process.pid, functionsUrl: addresses.functions, controlUrl: addresses.control })}\n`,
    );
    console.log(
      banner(
        this.#paths,
        addresses,
        this.#roles.includes("agent") ? this.#chosen : undefined,
        settingsInForce(process.env),
      ),
    );
  }

  /** With the ports that were chosen: a role that is started again answers where it did before. */
  #configNow(): Config {
    const port = (of: Role, configured: number) => Number(this.#facts.get(of)?.port ?? configured);
    return {
      ...this.#config,
      port: port("gateway", this.#config.port),
      controlPort: port("control", this.#config.controlPort),
    };
  }

  /** Without this, a role that can't even start would be started again for ever in silence. */
  #tellEnded(role: Role, how: string): void {
    console.error(`colibri: ${role} ended (${how}) and is started again; why is in ${this.#paths.platformLog}`);
  }

  #tellLogBroken({ message }: Error): void {
    console.error(`colibri: ${this.#paths.platformLog} can't be written (${message}): its lines are lost until it can`);
  }

  /** Before everything is up, a refusal ends the start; later the role is tried again. */
  #refused(role: Role, message: string): void {
    if (this.#shown) return this.#tellOnce(role, message);
    console.error(`colibri: ${message}`);
    this.#ended.resolve(1);
  }

  /** Not at every attempt. */
  #tellOnce(role: Role, message: string): void {
    if (this.#told.get(role) === message) return;
    this.#told.set(role, message);
    console.error(`colibri: ${role}: ${message}`);
  }

  /** Only what the disk refuses: the rest is a bug. */
  #refusesFailure(role: Role, action: () => void): void {
    try {
      action();
    } catch (error) {
      const told = storageError(error);
      if (told === undefined) throw error;
      this.#shown = false;
      this.#refused(role, told.message);
    }
  }
}
