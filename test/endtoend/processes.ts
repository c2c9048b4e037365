import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { homeKey } from "#platform/main/home.ts";
import { ROLES, type Role } from "#platform/main/supervisor.ts";

export interface Process {
  readonly pid: number;
  /** What it calls itself, such as `colibri: gateway`. */
  readonly title: string;
  readonly cwd: string;
  /** It is in a container of this platform's. */
  readonly sandbox: boolean;
}

/**
 * Every process of a platform, guests and what they started included: their environment or working directory names the home, or
 * they are in a control group of its sandboxes.
 */
export function processesOf(home: string): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => readProcess(pid, home) ?? []);
}

/** Those in sandboxes, without the shells that are the first processes of containers. */
export function guestsOf(home: string): Process[] {
  const isOurs = ({ cwd, sandbox }: Process) => sandbox || cwd.startsWith(`${home}/agent/sandboxes/`);
  return processesOf(home).filter((process) => isOurs(process) && !process.title.startsWith("/bin/sh -c exec 3>&2"));
}

/** The process that runs a role; it may be between two lives. */
export function roleOf(home: string, role: Role | "supervisor"): Process | undefined {
  return processesOf(home).find(({ title }) => title === `colibri: ${role}`);
}

/** Roles that run now. */
export function rolesOf(home: string): Role[] {
  return ROLES.filter((role) => roleOf(home, role) !== undefined);
}

function readProcess(pid: string, home: string): Process | undefined {
  try {
    const title = readFileSync(`/proc/${pid}/cmdline`, "latin1").replaceAll("\0", " ").trim();
    const environment = readFileSync(`/proc/${pid}/environ`, "latin1");
    const cwd = readlinkSync(`/proc/${pid}/cwd`);
    const sandbox = readFileSync(`/proc/${pid}/cgroup`, "latin1").includes(`/colibri/${homeKey(home)}/`);
    const ours = sandbox || environment.includes(home) || cwd === home || cwd.startsWith(`${home}/`);
    // A process that has ended and waits for its parent to notice has no command line.
    return ours && title !== "" ? { pid: Number(pid), title, cwd, sandbox } : undefined;
  } catch {
    return undefined; // It ended, or belongs to somebody else.
  }
}

/** Resident memory in MiB: now, and at most so far. */
export function memoryOf(pid: number): { nowMiB: number; peakMiB: number } {
  const status = readFileSync(`/proc/${pid}/status`, "latin1");
  const mebibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) / 1024;
  return { nowMiB: mebibytes("VmRSS"), peakMiB: mebibytes("VmHWM") };
}
