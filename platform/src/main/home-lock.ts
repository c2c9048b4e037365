import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { isRunning, readStat } from "#base/process-group.ts";
import { PlatformError } from "#contract/errors.ts";
import type { HomePaths } from "./home.ts";
import { storageError } from "./storage-error.ts";

/**
 * One platform a home. A lock whose process is gone is taken over. Returns what gives it back.
 * @throws PlatformError naming the process that has it.
 */
export function lockHome(paths: HomePaths): () => void {
  const locked = lockFile(paths.lock);
  if (locked.kind === "locked") return locked.unlock;
  throw new PlatformError(
    "conflict",
    `Colibri already runs on ${paths.home} (process ${locked.pid}): stop it first, or choose another COLIBRI_HOME`,
  );
}

export type Locked =
  | { readonly kind: "locked"; readonly unlock: () => void }
  | { readonly kind: "held"; readonly pid: string };

/** A file that is this process's until it gives it back or ends. */
export function lockFile(path: string): Locked {
  const mine = identity(process.pid);
  const holder = acquire(path, mine);
  if (holder !== undefined) return { kind: "held", pid: holder.split(" ")[0]! };
  const unlock = () => {
    if (read(path) === mine) rmSync(path, { force: true });
  };
  return { kind: "locked", unlock };
}

/** Whether the process that locked it lives; undefined when there is no such lock. */
export function isHeld(path: string): boolean | undefined {
  const holder = read(path);
  return holder === undefined ? undefined : lives(holder);
}

/**
 * Makes the lock ours; or returns the living process that has it.
 *
 * A lock appears with its contents, by link, so nobody sees it empty. One that was left behind is never removed, since what is
 * removed may by then be somebody else's: it is replaced, and only by who holds a second lock, named after the dead holder.
 */
function acquire(path: string, mine: string): string | undefined {
  const aside = `${path}.${process.pid}`;
  try {
    for (;;) {
      writeFileSync(aside, mine, { mode: 0o600 });
      if (link(aside, path)) return undefined;
      const holder = read(path);
      if (holder === undefined) continue;
      if (lives(holder)) return holder;
      const takeover = `${path}.after-${holder.replace(/[^0-9a-z]+/gi, "-").slice(0, 80)}`;
      const rival = acquire(takeover, mine);
      if (rival !== undefined) return rival;
      const unchanged = read(path) === holder;
      if (unchanged) renameSync(aside, path);
      rmSync(takeover);
      if (unchanged) return undefined;
    }
  } catch (error) {
    throw storageError(error, path) ?? error;
  } finally {
    rmSync(aside, { force: true });
  }
}

/** False when there is something already. */
function link(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function lives(holder: string): boolean {
  const pid = Number(holder.split(" ")[0]);
  return Number.isSafeInteger(pid) && pid > 0 && identity(pid) === holder;
}

/** Tells a process from a later one with the same number, in this boot or another; only the number when it does not run. */
function identity(pid: number): string {
  const stat = readStat(pid);
  if (stat === undefined || !isRunning(pid, stat.startTime)) return `${pid}`;
  return `${pid} ${stat.startTime} ${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()}`;
}
