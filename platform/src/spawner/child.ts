import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "#base/clock.ts";
import { groupMembers, isRunning, readStat, signalGroup } from "#base/process-group.ts";
import { PlatformError } from "#contract/errors.ts";
import { KEPT_OUTPUT, type SpawnerSignal } from "#contract/spawner/link.ts";

export type Stream = "stdout" | "stderr";
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}
export interface ChildListener {
  output(stream: Stream, text: string): void;
  /** Nothing of the group runs any more. Once. */
  exited(exit: Exit): void;
}
export interface ChildCommand {
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string>>;
}

const EMPTY_GROUP_POLL_MS = 5;
const PIPES_CLOSE_MS = 200;
/** How often an adopted process, which is nobody's child here, is looked at. */
const ADOPTED_POLL_MS = 250;

/** One process group, from its start (or adoption) until nothing of it runs. */
export interface Child {
  readonly pid: number;
  readonly startTime: string;
  readonly running: boolean;
  signal(signal: SpawnerSignal): void;
}

/** @throws PlatformError `start-failed`, naming the program. */
export async function startChild(clock: Clock, command: ChildCommand, listener: ChildListener): Promise<Child> {
  const [program = "", ...args] = command.command;
  const options = { cwd: command.cwd, env: { ...command.environment }, detached: true } as const;
  const process = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    process.once("spawn", resolve);
    process.once("error", (error) => reject(new PlatformError("start-failed", `${program}: ${error.message}`)));
  });
  return follow(clock, process, listener);
}

function follow(clock: Clock, process: ChildProcess, listener: ChildListener): Child {
  const pid = process.pid!;
  const startTime = readStat(pid)?.startTime ?? "";
  let running = true;
  for (const stream of ["stdout", "stderr"] as const) {
    process[stream]!.setEncoding("utf8");
    process[stream]!.on("data", (text: string) => listener.output(stream, text));
    process[stream]!.on("error", () => {});
  }
  const closed = new Promise<void>((resolve) => process.once("close", () => resolve()));
  process.once("exit", async (code, signal) => {
    // What the leader started goes with it. That also closes the pipes, except where somebody left the group and holds one.
    await emptyGroup(clock, pid);
    const patience = clock.after(PIPES_CLOSE_MS, () => {
      process.stdout?.destroy();
      process.stderr?.destroy();
    });
    await closed;
    clock.cancel(patience);
    running = false;
    listener.exited({ code, signal });
  });
  return {
    pid,
    startTime,
    get running() {
      return running;
    },
    signal(signal) {
      // Until `running` is false somebody may be left in the group, and as long as somebody is, its number is not given away.
      if (running) signalGroup(pid, signal);
    },
  };
}

/** A process that another spawner started; undefined when it is gone. */
export function adoptChild(clock: Clock, pid: number, startTime: string, listener: ChildListener): Child | undefined {
  if (!isRunning(pid, startTime)) return undefined;
  let running = true;
  const look = async () => {
    if (isRunning(pid, startTime)) return void clock.after(ADOPTED_POLL_MS, look);
    await emptyGroup(clock, pid);
    running = false;
    listener.exited({ code: null, signal: null });
  };
  clock.after(ADOPTED_POLL_MS, look);
  return {
    pid,
    startTime,
    get running() {
      return running;
    },
    signal(signal) {
      if (isRunning(pid, startTime)) signalGroup(pid, signal);
    },
  };
}

/** Kills what is left of a group and resolves when nothing of it runs. */
async function emptyGroup(clock: Clock, group: number): Promise<void> {
  // Between two forks a group can look empty to neither: kill until nobody is seen.
  while (signalGroup(group, "SIGKILL") && groupMembers(group).length > 0) {
    await new Promise<void>((resolve) => clock.after(EMPTY_GROUP_POLL_MS, resolve));
  }
}

/** The end of what a child wrote while nobody listened, in the order it was written. */
export class KeptOutput {
  #pieces: { stream: Stream; text: string }[] = [];
  #length = 0;

  add(stream: Stream, text: string): void {
    this.#pieces.push({ stream, text: text.slice(-KEPT_OUTPUT) });
    this.#length += Math.min(text.length, KEPT_OUTPUT);
    while (this.#length > KEPT_OUTPUT) {
      const first = this.#pieces[0]!;
      const cut = Math.min(first.text.length, this.#length - KEPT_OUTPUT);
      this.#length -= cut;
      if (cut === first.text.length) this.#pieces.shift();
      else first.text = first.text.slice(cut);
    }
  }

  take(): { stream: Stream; text: string }[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#length = 0;
    return pieces;
  }
}
