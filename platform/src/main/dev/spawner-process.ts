import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { createBackoff } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import type { Log, LogLevel } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";

export interface SpawnerProcess {
  /** @throws PlatformError, or the signal's reason */
  open(signal: AbortSignal): Promise<void>;
  /** "left": guests may still run, and their folders must stay for whoever ends them. Works twice, and after a failed open. */
  close(): Promise<"ended" | "left">;
}

export interface SpawnerProcessDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface SpawnerProcessOptions {
  /** Path of its socket. */
  readonly address: string;
  readonly logLevel: LogLevel;
  /** Path of a program that does the same. */
  readonly program?: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly since: number;
  /** With its exit code. */
  readonly ended: Promise<number | null>;
}

const PROGRAM = fileURLToPath(new URL("./spawner.ts", import.meta.url));
const READY_MS = 20_000;
/** More than it takes to kill guests that do not want to end. */
const CLOSE_MS = 15_000;
const BACKOFF = { firstMs: 100, maximumMs: 5_000 };
/** Whatever ended one that has run for so long is no reason to wait with the next. */
const STEADY_MS = 30_000;

/**
 * The spawner as a process of its own, so that guests end also when dev is killed.
 *
 * Owns: the process. Invariants: 1. once it was open there is one until `close`, or one is being started or waited for: each that ends, or
 * does not come to be ready, is followed by the next, which adopts what runs; 2. between two that fail is a wait, which doubles;
 * 3. `close` ends within CLOSE_MS and leaves none; no guest either, unless it says so.
 */
export function createSpawnerProcess(deps: SpawnerProcessDeps, options: SpawnerProcessOptions): SpawnerProcess {
  const { clock, random, log } = deps;
  const backoff = createBackoff(random, BACKOFF);
  const closing = new AbortController();
  /** That is ready. */
  let running: Running | undefined;
  let kept: Promise<void> | undefined;
  let closed: Promise<"ended" | "left"> | undefined;

  /** Resolves when it is ready; killed with the signal, it has started nothing yet. */
  async function start(signal: AbortSignal): Promise<Running> {
    signal.throwIfAborted();
    // Detached: what is sent to the terminal's programs is not for it, it hears from us.
    const child = fork(options.program ?? PROGRAM, [options.address, options.logLevel], {
      ...{ execArgv: [], detached: true, stdio: ["ignore", "ignore", "inherit", "ipc"] },
    });
    const ended = endOf(child);
    const kill = () => void child.kill("SIGKILL");
    const timer = clock.after(READY_MS, kill);
    signal.addEventListener("abort", kill);
    const ready = new Promise<"ready">((resolve) => child.once("message", () => resolve("ready")));
    const first = await Promise.race([ready, ended]);
    clock.cancel(timer);
    signal.removeEventListener("abort", kill);
    signal.throwIfAborted();
    if (first === "ready") return { child, ended, since: clock.monotonic() };
    throw new PlatformError("unavailable", "the program that starts guests has ended before it was ready");
  }

  async function keep(): Promise<void> {
    const { signal } = closing;
    for (;;) {
      if (running !== undefined) {
        const code = await running.ended;
        if (signal.aborted) return;
        log.warn("the spawner has ended", { code });
        if (clock.monotonic() - running.since >= STEADY_MS) backoff.reset();
        running = undefined;
      }
      await sleep(clock, backoff.next(), signal);
      running = await start(signal).catch((error: Error) => {
        if (!signal.aborted) log.warn("the spawner could not be started", { problem: error.message });
        return undefined;
      });
      if (signal.aborted) return;
    }
  }

  async function end(): Promise<"ended" | "left"> {
    closing.abort(new Error("closing"));
    if (kept === undefined) return "ended";
    const last = running;
    if (last === undefined) {
      await kept;
      return "left";
    }
    if (last.child.connected) last.child.disconnect();
    const timer = clock.after(CLOSE_MS, () => void last.child.kill("SIGKILL"));
    const code = await last.ended;
    clock.cancel(timer);
    await kept;
    return code === 0 ? "ended" : "left";
  }

  return {
    async open(signal) {
      running = await start(AbortSignal.any([signal, closing.signal]));
      kept = keep();
    },
    close() {
      closed ??= end();
      return closed;
    },
  };
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once("exit", resolve);
    // One that could not be started has no exit.
    child.on("error", () => child.pid === undefined && resolve(null));
  });
}
