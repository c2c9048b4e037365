import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { LogLevel } from "#base/log.ts";
import { PlatformError } from "#contract/errors.ts";

export interface SpawnerProcess {
  /** @throws PlatformError */
  open(signal: AbortSignal): Promise<void>;
  /** Resolves when every guest has ended. Works twice, and after a failed open. */
  close(): Promise<void>;
}

export interface SpawnerProcessOptions {
  /** Path of its socket. */
  readonly address: string;
  readonly logLevel: LogLevel;
}

const PROGRAM = fileURLToPath(new URL("./spawner.ts", import.meta.url));

/**
 * The spawner as a process of its own, so that guests end also when dev is killed.
 *
 * Owns: the process. Invariants: 1. once it was open there is one until `close`: the next one adopts what runs; 2. after `close` there
 * is none, and no guest.
 */
export function createSpawnerProcess(options: SpawnerProcessOptions): SpawnerProcess {
  let running: { readonly child: ChildProcess; readonly ended: Promise<void> } | undefined;
  let closing = false;

  async function start(): Promise<void> {
    // Detached: what is sent to the terminal's programs is not for it, it hears from us.
    const child = fork(PROGRAM, [options.address, options.logLevel], {
      ...{ execArgv: [], detached: true, stdio: ["ignore", "ignore", "inherit", "ipc"] },
    });
    const ended = new Promise<void>((resolve) => {
      child.once("exit", () => resolve());
      child.once("error", () => resolve());
    });
    running = { child, ended };
    const ready = new Promise<"ready">((resolve) => child.once("message", () => resolve("ready")));
    if ((await Promise.race([ready, ended])) !== "ready" && !closing)
      throw new PlatformError("unavailable", "the program that starts guests has ended before it was ready");
    // Where it can't be started again, the next start of a guest tells.
    void ended.then(() => (closing ? undefined : start().catch(() => {})));
  }

  return {
    async open(signal) {
      signal.throwIfAborted();
      await start();
      signal.throwIfAborted();
    },
    async close() {
      closing = true;
      if (running?.child.connected) running.child.disconnect();
      await running?.ended;
    },
  };
}
