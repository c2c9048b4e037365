import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { Clock } from "#base/clock.ts";
import type { Orphans } from "#base/orphans.ts";
import { isRunning, type ProcessName, readStat, signalGroup } from "#base/process-group.ts";
import { descendantsOf, type Reaper } from "#base/reaper.ts";
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
  /** Where the command names the process that it leaves behind: that one is the child. */
  readonly pidFile?: string | undefined;
}

export interface ChildDeps {
  readonly clock: Clock;
  readonly reaper: Reaper;
  /** Made when the first command leaves somebody behind. */
  readonly orphans: () => Promise<Orphans>;
}

const PIPES_CLOSE_MS = 200;
/** How often an adopted process, which is nobody's child here, is looked at. */
const ADOPTED_POLL_MS = 250;

/** A process group and who else belongs to it, from its start (or adoption) until nothing of it runs. */
export interface Child extends ProcessName {
  readonly running: boolean;
  signal(signal: SpawnerSignal): void;
}

/** @throws PlatformError `start-failed`, naming the program. */
export async function startChild(deps: ChildDeps, id: string, command: ChildCommand, listener: ChildListener) {
  // Before anybody can be left behind.
  const orphans = command.pidFile === undefined ? undefined : await deps.orphans();
  const [program = "", ...args] = command.command;
  const options = { cwd: command.cwd, env: { ...command.environment }, detached: true } as const;
  const process = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  await new Promise<void>((resolve, reject) => {
    process.once("spawn", resolve);
    process.once("error", (error) => reject(new PlatformError("start-failed", `${program}: ${error.message}`)));
  });
  for (const stream of ["stdout", "stderr"] as const) {
    process[stream]!.setEncoding("utf8");
    process[stream]!.on("data", (text: string) => listener.output(stream, text));
    process[stream]!.on("error", () => {});
  }
  const exited = new Promise<Exit>((resolve) => process.once("exit", (code, signal) => resolve({ code, signal })));
  const told = async (exit: Exit) => {
    await closePipes(deps.clock, process);
    listener.exited(exit);
  };
  if (orphans === undefined) {
    const child = { id, pid: process.pid!, startTime: startTimeOf(process.pid!, program), cwd: command.cwd };
    return new FollowedChild(deps, child, { exited, told });
  }
  try {
    const pid = await leftBehind(deps.clock, process, exited, command.pidFile!);
    const child = { id, pid, startTime: startTimeOf(pid, program), cwd: command.cwd };
    const orphanExit = orphans.ended(pid).then((exit) => exit ?? untilGone(deps.clock, child));
    return new FollowedChild(deps, child, { exited: orphanExit, told });
  } finally {
    orphans.bury();
  }
}

/** The pid that the command wrote. @throws PlatformError `start-failed` with what it said, when it failed. */
async function leftBehind(clock: Clock, command: ChildProcess, exited: Promise<Exit>, pidFile: string) {
  let said = "";
  const hear = (text: string) => {
    said = (said + text).slice(-KEPT_OUTPUT);
  };
  command.stderr!.on("data", hear);
  const { code, signal } = await exited;
  if (code !== 0) {
    await closePipes(clock, command);
    const why =
      said.trim().split("\n").at(-1) || (signal === null ? `exited with code ${code}` : `was killed by ${signal}`);
    throw new PlatformError("start-failed", why);
  }
  command.stderr!.off("data", hear);
  return Number(readFileSync(pidFile, "utf8"));
}

/** The end of a process that is nobody's child here, looked for now and then: how it ended is not told. */
function untilGone(clock: Clock, { pid, startTime }: ProcessName): Promise<Exit> {
  const { promise, resolve } = Promise.withResolvers<Exit>();
  const look = () => {
    if (!isRunning(pid, startTime)) resolve({ code: null, signal: null });
    else clock.after(ADOPTED_POLL_MS, look);
  };
  look();
  return promise;
}

/** Without it the child could not be told from a later one, nor its end from a lack of descriptors. */
function startTimeOf(pid: number, program: string): string {
  try {
    return readStat(pid)?.startTime ?? "";
  } catch (error) {
    signalGroup(pid, "SIGKILL");
    throw new PlatformError("start-failed", `${program}: ${(error as Error).message}`);
  }
}

/** What its group wrote last is in the pipes; somebody who can't be killed, or is not known, may hold them open. */
async function closePipes(clock: Clock, { stdout, stderr }: ChildProcess): Promise<void> {
  const closed = Promise.all([stdout, stderr].map((pipe) => pipe!.closed || once(pipe!, "close")));
  const patience = clock.after(PIPES_CLOSE_MS, () => {
    stdout?.destroy();
    stderr?.destroy();
  });
  await closed;
  clock.cancel(patience);
}

/** A process that another spawner started; undefined when it is gone. */
export function adoptChild(deps: ChildDeps, child: OwnedProcess, listener: ChildListener): Child | undefined {
  if (!isRunning(child.pid, child.startTime)) return undefined;
  const exited = untilGone(deps.clock, child);
  return new FollowedChild(deps, child, { exited, told: async (exit) => listener.exited(exit) });
}

interface OwnedProcess extends ProcessName {
  readonly id: string;
  readonly cwd: string;
}

interface End {
  /** How the leader ended. Never, when the kernel holds it. */
  readonly exited: Promise<Exit>;
  told(exit: Exit): Promise<void>;
}

/**
 * Owns: the end of one child, which begins when its leader exits or is killed. Invariants: 1. `told` is called once, when nothing
 * of the child runs or the reaper gave it up; 2. until then somebody may be left in the group, and so its number is not given away.
 */
class FollowedChild implements Child {
  readonly pid: number;
  readonly startTime: string;
  readonly #deps: ChildDeps;
  readonly #process: OwnedProcess;
  readonly #end: End;
  #running = true;
  #ending = false;

  constructor(deps: ChildDeps, process: OwnedProcess, end: End) {
    this.#deps = deps;
    this.#process = process;
    this.#end = end;
    this.pid = process.pid;
    this.startTime = process.startTime;
    void end.exited.then(() => this.#finish());
  }

  get running(): boolean {
    return this.#running;
  }

  signal(signal: SpawnerSignal): void {
    if (!this.#running) return;
    if (signal === "SIGKILL") void this.#finish();
    else signalGroup(this.pid, signal);
  }

  /** What the leader started goes with it: while it lives its children are known, later only those that carry its folder. */
  async #finish(): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const { id, cwd: folder, pid, startTime } = this.#process;
    // By name as well: who was left behind need not lead a group.
    const kin = isRunning(pid, startTime) ? [{ pid, startTime }, ...descendantsOf(pid)] : [];
    const ended = await this.#deps.reaper.end({ id, groups: [this.pid], folder, kin });
    await this.#end.told(ended ? await this.#end.exited : { code: null, signal: "SIGKILL" });
    this.#running = false;
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
