import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { Random } from "#base/random.ts";
import { PlatformError } from "#contract/errors.ts";
import { storageError } from "./storage-error.ts";

/** Tells what a home has on the machine, such as control groups of sandboxes, from another's. */
export function homeKey(home: string): string {
  return createHash("sha256").update(home).digest("hex").slice(0, 8);
}

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
    /** What has arrived of uploads that are not finished. */
    uploads: join(home, "uploads"),
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
    makeFolder(paths.home);
    for (const folder of ["run", "logs", "control", "gateway", "agent"]) makeFolder(join(paths.home, folder));
    tryToWrite(join(paths.home, "run", ".writable"));
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    // Node names no path where a write fails.
    const told = (storageError(error) ?? storageError(error, paths.home))?.message;
    const message =
      told === undefined
        ? `the home ${paths.home} can't be written (${code}): choose another with COLIBRI_HOME`
        : `the home ${paths.home} can't be written: ${told}, or choose another home with COLIBRI_HOME`;
    throw new PlatformError("store-unavailable", message, { cause: error });
  }
}

/** Something, not nothing: an empty file has room on a full disk. */
function tryToWrite(path: string): void {
  try {
    writeFileSync(path, "colibri\n");
  } finally {
    rmSync(path, { force: true });
  }
}

/** Like a recursive mkdir, which Node 24 never ends where a folder can't be made, as under /proc. */
function makeFolder(path: string): void {
  if (existsSync(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  mkdirSync(path, { mode: 0o700 });
}

const TOKEN_CHARACTERS = 32;

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** The admin token: made at the first start, readable only by the owner of the home. */
export function readOrCreateToken(paths: HomePaths, random: Random): string {
  const present = readIfThere(paths.token)?.trim() ?? "";
  if (present.length >= TOKEN_CHARACTERS) return present;
  // Somebody's own: to put another in its place would lock them out without a word.
  if (present !== "")
    throw new PlatformError(
      "request-invalid",
      `the token in ${paths.token} has ${present.length} characters, it takes ${TOKEN_CHARACTERS} at least: remove the file to have one made`,
    );
  const token = `colibri_${random.bytes(24).toString("base64url")}`;
  writeDurably(paths.token, `${token}\n`);
  return token;
}

/** What was tightened, to be told: whoever can read the token can do everything. */
export function shutToken(paths: HomePaths): string | undefined {
  const mode = statSync(paths.token).mode & 0o777;
  if ((mode & 0o077) === 0) return undefined;
  chmodSync(paths.token, 0o600);
  return `${paths.token} could be used by others on this machine (mode ${mode.toString(8)}): it is its owner's alone now (600). Make another if somebody may have read it`;
}

/** Higher at every start of the owner, so that what an earlier run ordered is fenced. */
export function nextEpoch(paths: HomePaths): number {
  const text = readIfThere(paths.gateway.epoch)?.trim() ?? "0";
  // To count from the start again would have the agent fence every order.
  if (!/^\d{1,15}$/.test(text))
    throw new PlatformError(
      "store-unavailable",
      `${paths.gateway.epoch} holds ${JSON.stringify(text.slice(0, 40))}, not the number of the gateway's last start: stop the platform, remove ${paths.home}/agent/sandboxes and the file`,
    );
  const next = Number(text) + 1;
  const line = `${String(next).padStart(EPOCH_DIGITS, "0")}\n`;
  if (existsSync(paths.gateway.epoch)) overwrite(paths.gateway.epoch, line);
  else writeDurably(paths.gateway.epoch, line);
  return next;
}

const EPOCH_DIGITS = 15;

/**
 * In place, since a full disk has no room for a second file and the gateway must start all the same. Safe for a few bytes at the
 * start of a file, as long every time: they lie in one sector, which a disk writes wholly or not at all.
 */
function overwrite(path: string, line: string): void {
  let file: number | undefined;
  try {
    file = openSync(path, "r+");
    writeWhole(file, line, 0);
    fsyncSync(file);
  } catch (error) {
    throw storageError(error, path) ?? error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** A disk that gets full takes the beginning and says so only when asked for more. */
function writeWhole(file: number, text: string, position: number): void {
  const bytes = Buffer.from(text);
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done, bytes.length - done, position + done);
}

/** Write aside, fsync, rename: after a crash the file is the old one or the new one. */
export function writeDurably(path: string, text: string): void {
  const aside = `${path}.${process.pid}`;
  let file: number | undefined;
  try {
    file = openSync(aside, "w", 0o600);
    writeWhole(file, text, 0);
    fsyncSync(file);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw storageError(error, path) ?? error;
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** Unless that is what it says already, which needs no room. */
export function ensureWritten(path: string, text: string): void {
  if (readIfThere(path) !== text) writeDurably(path, text);
}
