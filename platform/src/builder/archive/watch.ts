import { existsSync, type FSWatcher, lstatSync, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Clock, Timer } from "#base/clock.ts";
import { createIgnoreRules, DEFAULT_IGNORES, IGNORE_FILE, type IgnoreRules } from "./ignore.ts";

export interface FolderWatcher {
  close(): void;
}

export interface FolderWatcherEvents {
  /** A file, by its path in the folder, was written, made or removed; "" for the folder itself. Several may come of one save. */
  changed(path: string): void;
  /** Not all can be watched; once. */
  failed(error: NodeJS.ErrnoException): void;
}

/** Written last by who installs packages: the one file of node_modules that is watched. */
const INSTALLED: readonly string[] = [".package-lock.json", ".modules.yaml", ".yarn-state.yml"];
const PACKAGES = "node_modules";
/** How often is looked whether a folder is still the one that is watched: of what happens above it no event tells. */
const LOOK_MS = 250;

/**
 * Watches what a deployment would take of a folder, by the same ignore rules, also while the folder is gone and when another comes in
 * its place. One watch a folder, since Node's recursive watch would follow every file of node_modules too. Links are not followed:
 * what they lead to is watched already, or is no part of a deployment.
 */
export function watchFolder(root: string, events: FolderWatcherEvents, clock: Clock): FolderWatcher {
  const watched = new Map<string, FSWatcher>();
  let rules: IgnoreRules = createIgnoreRules(DEFAULT_IGNORES);
  const fail = failing(events);

  /** `folder` is relative, "" for the root. */
  function add(folder: string): void {
    if (watched.has(folder)) return;
    try {
      const watcher = watch(join(root, folder), { persistent: false }, (kind, name) => heard(folder, kind, name));
      watcher.on("error", (error) => {
        drop(folder);
        fail(error);
      });
      watched.set(folder, watcher);
      addBelow(folder);
    } catch (error) {
      fail(error);
    }
  }

  function addBelow(folder: string): void {
    const entries = readdirSync(join(root, folder), { withFileTypes: true });
    if (entries.some(({ name }) => name === IGNORE_FILE)) readRules(folder);
    for (const entry of entries) {
      const path = pathIn(folder, entry.name);
      if (entry.isDirectory() && (path === PACKAGES || !rules.ignores(path, true))) add(path);
    }
  }

  function readRules(folder: string): void {
    try {
      rules.add(folder, readFileSync(join(root, folder, IGNORE_FILE), "utf8"));
    } catch (error) {
      fail(error);
    }
  }

  function heard(folder: string, kind: string, name: string | null): void {
    if (name === null) return;
    // Of a folder that is removed or renamed itself, its own name is said.
    if (folder === "" && name === basename(root)) own.look("forget");
    const path = pathIn(folder, name);
    if (folder === PACKAGES) {
      if (INSTALLED.includes(name)) events.changed(path);
      return;
    }
    const isFolder = isFolderAt(join(root, path));
    // A folder may be another one now, and what was watched gone or elsewhere.
    if (kind === "rename") drop(path);
    if (path === PACKAGES) return isFolder ? addPackages() : undefined;
    if (rules.ignores(path, isFolder)) return;
    if (name === IGNORE_FILE) restart();
    if (isFolder) add(path);
    events.changed(path);
  }

  /** Who is fast has installed before it is watched. */
  function addPackages(): void {
    add(PACKAGES);
    if (INSTALLED.some((name) => existsSync(join(root, PACKAGES, name)))) events.changed(PACKAGES);
  }

  /** What was ignored may no longer be. */
  function restart(): void {
    drop("");
    rules = createIgnoreRules(DEFAULT_IGNORES);
    add("");
  }

  function drop(folder: string): void {
    for (const path of [...watched.keys()]) {
      if (path !== folder && !path.startsWith(`${folder}/`) && folder !== "") continue;
      watched.get(path)?.close();
      watched.delete(path);
    }
  }

  const own = lookAt(root, clock, () => {
    restart();
    events.changed("");
  });
  restart();
  return {
    close() {
      own.close();
      drop("");
    },
  };
}

/** What keeps files from being watched, and what helps. */
export function remedyOf({ code, message }: NodeJS.ErrnoException): string {
  if (code === "EMFILE")
    return "the system gives no more watchers: raise fs.inotify.max_user_instances, or end other programs that watch files";
  if (code === "ENOSPC")
    return "the system watches no more files: raise fs.inotify.max_user_watches, or leave folders out with .colibriignore";
  return message;
}

/** One file, also when it is replaced by another of its name, as editors do, or its folder goes and comes. */
export function watchFile(path: string, events: FolderWatcherEvents, clock: Clock): FolderWatcher {
  const name = basename(path);
  const folder = dirname(path);
  const fail = failing(events);
  let watcher: FSWatcher | undefined;

  function start(): void {
    watcher?.close();
    try {
      watcher = watch(folder, { persistent: false }, (_kind, heard) => {
        if (heard === name) events.changed(name);
        else if (heard === basename(folder)) own.look("forget");
      });
      watcher.on("error", fail);
    } catch (error) {
      watcher = undefined;
      fail(error);
    }
  }

  const own = lookAt(folder, clock, () => {
    start();
    events.changed(name);
  });
  start();
  return {
    close() {
      own.close();
      watcher?.close();
    },
  };
}

interface Look {
  /** Now. `forget`: even the same one counts as another, since its watch may have ended. */
  look(how: "forget" | "compare"): void;
  close(): void;
}

/** Tells when a folder has gone, come, or become another one. */
function lookAt(folder: string, clock: Clock, changed: () => void): Look {
  let known = identityOf(folder);
  let timer: Timer | undefined;

  function look(how: "forget" | "compare"): void {
    const found = identityOf(folder);
    if (found === known && how === "compare") return;
    known = found;
    changed();
  }

  function lookLater(): void {
    timer = clock.after(LOOK_MS, () => {
      look("compare");
      if (timer !== undefined) lookLater();
    });
  }

  lookLater();
  return {
    look,
    close() {
      if (timer !== undefined) clock.cancel(timer);
      timer = undefined;
    },
  };
}

function identityOf(folder: string): string | undefined {
  try {
    const { dev, ino } = statSync(folder);
    return `${dev} ${ino}`;
  } catch {
    return undefined;
  }
}

function isFolderAt(path: string): boolean {
  try {
    return lstatSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Once; that something is gone is no failure. */
function failing({ failed }: FolderWatcherEvents): (error: unknown) => void {
  let told = false;
  return (error) => {
    if (told || (error as NodeJS.ErrnoException).code === "ENOENT") return;
    told = true;
    failed(error as NodeJS.ErrnoException);
  };
}

function pathIn(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
