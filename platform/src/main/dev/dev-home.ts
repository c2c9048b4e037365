import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { basename, join } from "node:path";
import { PlatformError } from "#contract/errors.ts";
import { integer, object, parseJson, type TypeOf, text } from "#contract/shape.ts";
import { DEV_PATH } from "#platform/dev/index.ts";
import { type HomePaths, homePaths, prepareHome } from "../home.ts";
import { lockHome } from "../home-lock.ts";

/** What one that runs says of itself to others of the same user. */
const running = object({ pid: integer(1), url: text(256), app: text(64), folder: text(4_096) });
export type RunningDev = TypeOf<typeof running>;

export interface DevHome {
  /** Unique among those that run; names what is left in folders of code. */
  readonly id: string;
  readonly paths: HomePaths;
  announce(running: RunningDev): void;
  /** Removes it with all that is in it. Works twice. */
  close(): void;
}

const MAKING = "making-";
/** One that is being made has its lock long before. */
const MAKING_MS = 60_000;

/** Homes of one user: nobody else may put one there, or read what is in one. @throws PlatformError */
export function devRoot(): string {
  const { uid } = userInfo();
  const root = join(tmpdir(), `colibri-dev-${uid}`);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const found = statSync(root);
  if (found.uid !== uid || (found.mode & 0o077) !== 0)
    throw new PlatformError(
      "store-unavailable",
      `${root} belongs to somebody else or is open to others: remove it, or set TMPDIR to a folder of your own`,
    );
  return root;
}

/** A home of its own for one run. It gets its name when it has its lock, so that nobody takes it for one that was left. */
export function makeDevHome(root: string): DevHome {
  const making = mkdtempSync(join(root, MAKING));
  lockHome(homePaths(making));
  const id = basename(making).slice(MAKING.length);
  const paths = homePaths(join(root, id));
  renameSync(making, paths.home);
  prepareHome(paths);
  return {
    id,
    paths,
    announce: (said) => writeFileSync(announcementOf(paths.home), JSON.stringify(said), { mode: 0o600 }),
    close: () => removeHome(paths),
  };
}

export function removeHome({ home }: HomePaths): void {
  rmSync(home, { recursive: true, force: true, maxRetries: 3 });
}

/** Those whose process is gone. Each is locked by us from here on, and is to be removed. */
export function abandonedHomes(root: string): HomePaths[] {
  return readdirSync(root).flatMap((name) => {
    const paths = homePaths(join(root, name));
    if (name.startsWith(MAKING) && ageMs(paths.home) < MAKING_MS) return [];
    try {
      lockHome(paths);
      return [paths];
    } catch {
      // It runs, or goes at this very moment.
      return [];
    }
  });
}

/** Which homes are there, by id. */
export function devHomes(root: string): ReadonlySet<string> {
  return new Set(readdirSync(root));
}

/** Those that run now. */
export function runningDevs(root: string): RunningDev[] {
  return readdirSync(root).flatMap((name) => {
    try {
      const path = announcementOf(join(root, name));
      const said = parseJson(running, readFileSync(path, "utf8"), path);
      process.kill(said.pid, 0);
      return [said];
    } catch {
      return [];
    }
  });
}

/** Where it answers programs of this machine. */
export function asideOf({ url }: RunningDev): string {
  return url + DEV_PATH;
}

function announcementOf(home: string): string {
  return join(home, "run", "dev.json");
}

function ageMs(path: string): number {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
}
