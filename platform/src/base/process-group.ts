import { readdirSync, readFileSync } from "node:fs";

/** What /proc/<pid>/stat says of one process, as far as it is needed here. */
export interface ProcessStat {
  readonly pid: number;
  readonly state: string;
  readonly group: number;
  readonly startTime: string;
}

/** Undefined when there is no such process. */
export function readStat(pid: number): ProcessStat | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return undefined;
  }
  // The command's name may hold anything, parentheses too: the fields begin behind the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { pid, state: fields[0] ?? "", group: Number(fields[2]), startTime: fields[19] ?? "" };
}

/** Whether this very process still runs: not another one that got its pid, and not a zombie. */
export function isRunning(pid: number, startTime: string): boolean {
  const stat = readStat(pid);
  return stat !== undefined && stat.startTime === startTime && isAlive(stat);
}

/** Signals the group; false when nobody is left in it. */
export function signalGroup(group: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-group, signal);
    return true;
  } catch {
    return false;
  }
}

/** Pids that run in the group. Zombies do not: only whoever is their parent can remove them, and they hold nothing. */
export function groupMembers(group: number): number[] {
  const members: number[] = [];
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = readStat(Number(name));
    if (stat !== undefined && stat.group === group && isAlive(stat)) members.push(stat.pid);
  }
  return members;
}

function isAlive(stat: ProcessStat): boolean {
  return stat.state !== "Z" && stat.state !== "X";
}
