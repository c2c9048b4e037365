import { readdirSync, readFileSync } from "node:fs";

/** Names one process for ever: a pid is given away again. */
export interface ProcessName {
  readonly pid: number;
  /** In clock ticks since the machine started. */
  readonly startTime: string;
}

/** What /proc/<pid>/stat says of one process, as far as it is needed here. */
export interface ProcessStat extends ProcessName {
  readonly state: string;
  readonly group: number;
}

/** Undefined when there is no such process. @throws what the system says when it can't be read, such as EMFILE. */
export function readStat(pid: number): ProcessStat | undefined {
  const fields = readFields(`/proc/${pid}/stat`);
  return fields && { pid, state: fields[0] ?? "", group: Number(fields[2]), startTime: fields[19] ?? "" };
}

/** A process's main thread: in Node the one with the event loop. */
export interface MainThread {
  /** As in /proc: `R` runs or wants to, `S` sleeps, `D` waits for a disk, `T` is stopped. */
  readonly state: string;
  /** Processor time it has used so far. */
  readonly cpuMs: number;
}

/** Linux tells time in hundredths of a second on every machine that Node runs on. */
const TICK_MS = 10;

/** Undefined when there is no such process, or nothing can be told of it. */
export function readMainThread(pid: number): MainThread | undefined {
  try {
    const fields = readFields(`/proc/${pid}/task/${pid}/stat`);
    return fields && { state: fields[0] ?? "", cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS };
  } catch {
    return undefined;
  }
}

function readFields(path: string): string[] | undefined {
  try {
    const stat = readFileSync(path, "latin1");
    // The command's name may hold anything, parentheses too: the fields begin behind the last one.
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
}

/** Of what reading in /proc or signalling throws. Anything else, such as no descriptor being left, says nothing of the process. */
export function isGone(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ENOENT" || code === "ESRCH";
}

/**
 * Whether this very process still runs: not another one that got its pid, and not a zombie. While that can't be read, whoever
 * has the pid counts as it: to believe in an end that was none would leave a process behind.
 */
export function isRunning(pid: number, startTime: string): boolean {
  try {
    const stat = readStat(pid);
    return stat !== undefined && stat.startTime === startTime && isAlive(stat);
  } catch {
    return hasPid(pid);
  }
}

/** Takes no descriptor. */
function hasPid(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !isGone(error);
  }
}

/** Signals the group; false when nobody is left in it. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch (error) {
    return !isGone(error);
  }
}

/** All processes of the machine, without those that are hidden because they are somebody else's. @throws as `readStat` does. */
export function* readStats(): Generator<ProcessStat> {
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readStat(Number(name));
      if (stat !== undefined) yield stat;
    } catch (error) {
      if (!isHidden(error)) throw error;
    }
  }
}

/** Of what reading in /proc throws. */
export function isHidden(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EACCES" || code === "EPERM";
}

/** Pids that run in the group. */
export function groupMembers(group: number): number[] {
  return [...readStats()].filter((stat) => stat.group === group && isAlive(stat)).map(({ pid }) => pid);
}

/** Zombies are not: only whoever is their parent can remove them, and they hold nothing. */
export function isAlive(stat: ProcessStat): boolean {
  return stat.state !== "Z" && stat.state !== "X";
}
