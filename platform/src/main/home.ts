import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { isRunning, readStat } from "#base/process-group.ts";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";

/** Every path under COLIBRI_HOME, in one place. */
export function homePaths(home: string) {
  const run = join(home, "run");
  return {
    home,
    token: join(home, "token"),
    lock: join(home, "platform.lock"),
    /** Where the platform answers, for the command line. */
    addresses: join(run, "platform.json"),
    platformLog: join(home, "logs", "platform.ndjson"),
    /** Of the platform's own code, so that types are stripped once and not at every start. */
    compiled: join(home, "cache", "compiled"),
    blobs: join(home, "blobs"),
    build: join(home, "build"),
    control: {
      store: join(home, "control", "control.db"),
      records: join(home, "control", "records.db"),
      logs: join(home, "control", "logs"),
    },
    gateway: { plans: join(home, "gateway", "plans"), epoch: join(home, "gateway", "epoch") },
    agent: {
      home: join(home, "agent"),
      plans: join(home, "agent", "plans"),
      bundles: join(home, "agent", "bundles"),
      guests: join(home, "agent", "guests"),
    },
    sockets: {
      plan: join(run, "control-plan.sock"),
      report: join(run, "control-report.sock"),
      agent: join(run, "agent.sock"),
      spawner: join(run, "spawner.sock"),
      async: join(run, "async.sock"),
    },
  } as const;
}
export type HomePaths = ReturnType<typeof homePaths>;

/** Makes the home, only for its owner. @throws PlatformError when it can't be written. */
export function prepareHome(paths: HomePaths): void {
  try {
    mkdirSync(paths.home, { recursive: true, mode: 0o700 });
    for (const folder of ["run", "logs", "control", "gateway", "agent"])
      mkdirSync(join(paths.home, folder), { recursive: true, mode: 0o700 });
    writeFileSync(join(paths.home, "run", ".writable"), "");
    rmSync(join(paths.home, "run", ".writable"));
  } catch (error) {
    const why = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new PlatformError(
      "store-unavailable",
      `the home ${paths.home} can't be written (${why}): choose another with COLIBRI_HOME`,
      { cause: error },
    );
  }
}

/** One platform a home. A lock whose process is gone is taken over. @throws PlatformError naming the process that has it. */
export function lockHome(paths: HomePaths): () => void {
  // Written aside and linked: whoever finds the lock finds it whole, and so never takes a new one for an abandoned one.
  const aside = `${paths.lock}.${process.pid}`;
  writeFileSync(aside, `${process.pid} ${readStat(process.pid)?.startTime}`, { mode: 0o600 });
  try {
    while (!takeLock(paths, aside));
  } finally {
    rmSync(aside, { force: true });
  }
  return () => rmSync(paths.lock, { force: true });
}

/** False when an abandoned one was in the way, and has been removed. */
function takeLock(paths: HomePaths, aside: string): boolean {
  try {
    linkSync(aside, paths.lock);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  const [pid = "", started = ""] = readFileSync(paths.lock, "utf8").split(" ");
  if (isRunning(Number(pid), started))
    throw new PlatformError(
      "conflict",
      `Colibri already runs on ${paths.home} (process ${pid}): stop it first, or choose another COLIBRI_HOME`,
    );
  rmSync(paths.lock, { force: true });
  return false;
}

/** The admin token: made at the first start, readable only by the owner of the home. */
export function readOrCreateToken(paths: HomePaths, random: Random): string {
  try {
    const token = readFileSync(paths.token, "utf8").trim();
    if (token.length >= 32) return token;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const token = `colibri_${random.bytes(24).toString("base64url")}`;
  writeDurably(paths.token, `${token}\n`);
  return token;
}

/** Higher at every start of the owner, so that what an earlier run ordered is fenced. */
export function nextEpoch(paths: HomePaths): number {
  let last = 0;
  try {
    last = Number.parseInt(readFileSync(paths.gateway.epoch, "utf8"), 10) || 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  writeDurably(paths.gateway.epoch, `${last + 1}\n`);
  return last + 1;
}

/** Write aside, fsync, rename: after a crash the file is the old one or the new one. */
export function writeDurably(path: string, text: string): void {
  const aside = `${path}.${process.pid}`;
  const file = openSync(aside, "w", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(aside, path);
}
