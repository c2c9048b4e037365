// Runs steps one after the other and lets their output through.
//
// Owns: the process of the step under way, and its process group, so that a test's own children end with it.
// Does not own: what a step started in a group of its own.
// Invariants:
// 1. At most one step runs.
// 2. No step runs longer than its limit and the grace.
// 3. After `stop` no further step starts, and the one under way is gone within the grace.
import { type ChildProcess, spawn } from "node:child_process";
import type { Step } from "./plan.ts";

export type Outcome = "passed" | "failed" | "empty" | "skipped";
export type Result = { name: string; outcome: Outcome; seconds: number };

export type RunnerOptions = {
  /** How long an interrupted step may take to end before it is killed. */
  graceMs: number;
  /** A terminal signals everyone at once and bin/colibri passes the same signal on: stops this close are one. */
  sameStopMs: number;
};

const DEFAULTS: RunnerOptions = { graceMs: 5_000, sameStopMs: 500 };

export class Runner {
  readonly #root: string;
  readonly #options: RunnerOptions;
  #child: ChildProcess | undefined;
  #interrupted: ChildProcess | undefined;
  #stoppedAt: number | undefined;

  constructor(root: string, options: Partial<RunnerOptions> = {}) {
    this.#root = root;
    this.#options = { ...DEFAULTS, ...options };
  }

  async run(steps: Step[], bail: boolean): Promise<Result[]> {
    const results: Result[] = [];
    let broken = false;
    for (const step of steps) {
      const result: Result =
        this.#stoppedAt !== undefined || (broken && bail) ? skipped(step) : await this.#perform(step);
      broken ||= result.outcome === "failed";
      results.push(result);
    }
    return results;
  }

  /** The first call asks the step under way to end, a later one kills it. */
  stop(): void {
    const now = performance.now();
    if (this.#stoppedAt === undefined) {
      this.#stoppedAt = now;
      this.#interrupt();
    } else if (now - this.#stoppedAt > this.#options.sameStopMs) this.#signal("SIGKILL");
  }

  async #perform({ name, args, limitMs }: Step): Promise<Result> {
    if (!args) {
      console.log(`\n${name}: empty, no tests here yet`);
      return { name, outcome: "empty", seconds: 0 };
    }
    console.log(`\n${name}`);
    const started = performance.now();
    const ok = await this.#execute(name, args, limitMs);
    const seconds = (performance.now() - started) / 1000;
    console.log(`${name}: ${ok ? "passed" : "failed"} in ${seconds.toFixed(1)} s`);
    return { name, outcome: ok ? "passed" : "failed", seconds };
  }

  #execute(name: string, args: string[], limitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, args, {
        cwd: this.#root,
        stdio: ["ignore", "inherit", "inherit"],
        detached: true,
      });
      this.#child = child;
      const limit = setTimeout(() => {
        console.error(
          `${name}: still running after ${limitMs / 1000} s, ending it (limits are in tools/check/plan.ts)`,
        );
        this.#interrupt();
      }, limitMs);
      const finish = (ok: boolean): void => {
        clearTimeout(limit);
        // Whatever the step left behind in its group goes with it.
        this.#signal("SIGKILL");
        this.#child = undefined;
        resolve(ok);
      };
      child.once("error", (error) => {
        console.error(`${name}: could not start: ${error.message}`);
        finish(false);
      });
      child.once("exit", (code) => finish(code === 0 && this.#interrupted !== child));
    });
  }

  /** On SIGINT, node's test runner says which files were still running. */
  #interrupt(): void {
    const child = this.#child;
    this.#interrupted = child;
    this.#signal("SIGINT");
    setTimeout(() => {
      if (this.#child === child) this.#signal("SIGKILL");
    }, this.#options.graceMs).unref();
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child?.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

function skipped({ name }: Step): Result {
  return { name, outcome: "skipped", seconds: 0 };
}
