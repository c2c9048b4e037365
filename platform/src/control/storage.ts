import { access, constants, mkdir, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, sleep } from "#base/clock.ts";
import { Semaphore } from "#base/semaphore.ts";
import type { Health } from "#contract/api/resources.ts";

export type StorageProblem = Health["storage"][number];

export interface Place {
  /** What is kept there, such as `function logs`: its name. */
  readonly what: string;
  readonly folder: string;
  /** Names of files in it that are appended to or written in place. */
  readonly files?: readonly string[];
}

/** Where things are kept on disk, and whether they can be written there. */
export interface Storage {
  /** Gives the promise back; how it settles says whether the place could be written. */
  follow<T>(what: string, writing: Promise<T>): Promise<T>;
  /** Empty when everything can be written. */
  problems(): Promise<StorageProblem[]>;
}

interface Try {
  readonly sinceMs: number;
  isStarted: boolean;
  /** What stands in the way, or undefined. */
  readonly result: Promise<unknown>;
}

/** A block of the file system, so that a full disk is seen: smaller files may find room in what is reserved. */
const PROBE_BYTES = 4_096;
const PROBE_MS = 2_000;
const NO_ANSWER = new Error(`no answer within ${PROBE_MS} ms`);
const NOT_TRIED = new Error("it could not be tried: other places give no answer");
const TRIES_AT_ONCE = 2;
/** However often health is asked for. */
const PROBE_EVERY_MS = 1_000;

/**
 * Owns: what is known of each place. Does not own: what is kept there.
 * Invariants: 1. what the last write said stands until another write succeeds; 2. the places are tried when somebody asks,
 * because a write that fails may be long ago, or none may have been needed yet; 3. a place is tried again only when its last try
 * has ended, and few are tried at once: on a dead disk a try takes one of the four threads that all files share, and never
 * gives it back.
 */
export function createStorage(deps: { readonly clock: Clock }, places: readonly Place[]): Storage {
  const { clock } = deps;
  const since = new Map<string, string>();
  const failed = new Map<string, unknown>();
  const turns = new Semaphore(TRIES_AT_ONCE);
  const unfinished = new Map<string, Try>();
  let probed: { readonly atMs: number; readonly found: Promise<Map<string, unknown>> } | undefined;

  async function probeAll(): Promise<Map<string, unknown>> {
    const found = await Promise.all(places.map(async (place) => [place.what, await probe(place)] as const));
    return new Map(found.filter(([, error]) => error !== undefined));
  }

  /** What stands in the way of writing there, or undefined. */
  async function probe(place: Place): Promise<unknown> {
    const trying = tryOnce(place);
    const leftMs = trying.sinceMs + PROBE_MS - clock.monotonic();
    const ended = new AbortController();
    const late = leftMs <= 0 ? Promise.resolve() : sleep(clock, leftMs, ended.signal);
    const first = await Promise.race([trying.result, late.then(() => (trying.isStarted ? NO_ANSWER : NOT_TRIED))]);
    ended.abort();
    return first;
  }

  /** The one that is under way, or a new one. */
  function tryOnce(place: Place): Try {
    const underWay = unfinished.get(place.what);
    if (underWay !== undefined) return underWay;
    const started: Try = { sinceMs: clock.monotonic(), isStarted: false, result: tryInTurn() };
    unfinished.set(place.what, started);
    return started;

    async function tryInTurn(): Promise<unknown> {
      await turns.acquire();
      started.isStarted = true;
      try {
        return await tryWriting(place);
      } catch (error) {
        return error;
      } finally {
        unfinished.delete(place.what);
        turns.release();
      }
    }
  }

  function problemOf({ what, folder }: Place, error: unknown): StorageProblem[] {
    if (error === undefined) {
      since.delete(what);
      return [];
    }
    const at = since.get(what) ?? new Date(clock.now()).toISOString();
    since.set(what, at);
    const { code, path } = error as { code?: string; path?: string };
    return [{ what, path: typeof path === "string" ? path : folder, ...explain(code, error), since: at }];
  }

  return {
    async follow(what, writing) {
      try {
        const done = await writing;
        failed.delete(what);
        return done;
      } catch (error) {
        failed.set(what, error);
        throw error;
      }
    },
    async problems() {
      const nowMs = clock.monotonic();
      if (probed === undefined || nowMs - probed.atMs >= PROBE_EVERY_MS) probed = { atMs: nowMs, found: probeAll() };
      const found = await probed.found;
      return places.flatMap((place) => problemOf(place, found.get(place.what) ?? failed.get(place.what)));
    },
  };
}

async function tryWriting({ what, folder, files = [] }: Place): Promise<void> {
  await mkdir(folder, { mode: 0o700 }).catch((error) => {
    if (error.code !== "EEXIST") throw error;
  });
  const path = join(folder, `.writable-${what.replaceAll(" ", "-")}`);
  try {
    const file = await open(path, "w", 0o600);
    try {
      await file.write(Buffer.alloc(PROBE_BYTES));
    } finally {
      await file.close();
    }
  } finally {
    await rm(path, { force: true }).catch(() => {});
  }
  for (const name of files) await look(join(folder, name));
}

/**
 * One that is not there yet is made when it is needed. It is not opened: closing a database's file here would take the locks
 * that SQLite holds on it in this process.
 */
async function look(path: string): Promise<void> {
  try {
    await access(path, constants.W_OK);
    if ((await stat(path)).isDirectory()) throw Object.assign(new Error("it is a folder"), { code: "EISDIR", path });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function explain(code: string | undefined, error: unknown): Pick<StorageProblem, "problem" | "remedy"> {
  const message = error instanceof Error ? error.message : String(error);
  switch (code?.startsWith("E") ? code : codeIn(message)) {
    case "ENOSPC":
    case "EDQUOT":
      return { problem: "there is no room left", remedy: "Free some room there; what waits is written then." };
    case "EACCES":
    case "EPERM":
      return { problem: "it may not be written", remedy: "Let the platform's user write there." };
    case "EROFS":
      return { problem: "its file system is read-only", remedy: "Mount it for writing." };
    case "ENOTDIR":
    case "EEXIST":
    case "EISDIR":
      return {
        problem: "something else is in its place, a file for a folder or a folder for a file",
        remedy: "Move that away: what belongs there is made anew.",
      };
    default:
      return { problem: message, remedy: "The platform log says more; what waits is written when it can be." };
  }
}

/** SQLite tells in words. */
function codeIn(message: string): string | undefined {
  if (/\bis full\b/.test(message)) return "ENOSPC";
  return /readonly database/.test(message) ? "EACCES" : undefined;
}
