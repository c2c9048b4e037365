import { existsSync, type FSWatcher, readdirSync, readFileSync, statSync, watch } from "node:fs";
import { basename, dirname, join } from "node:path";
import { createIgnoreRules, DEFAULT_IGNORES, IGNORE_FILE, type IgnoreRules } from "#platform/builder/archive/ignore.ts";

export interface FolderWatcher {
  close(): void;
}

export interface FolderWatcherEvents {
  /** A file, by its path in the folder, was written, made or removed. Several may come of one save. */
  changed(path: string): void;
  /** Not all can be watched; once. */
  failed(error: NodeJS.ErrnoException): void;
}

/** Written last by who installs packages: the one file of node_modules that is watched. */
const INSTALLED: readonly string[] = [".package-lock.json", ".modules.yaml", ".yarn-state.yml"];
const PACKAGES = "node_modules";

/**
 * Watches what a deployment would take of a folder, by the same ignore rules. One watch a folder, since Node's recursive watch would
 * follow every file of node_modules too.
 */
export function watchFolder(root: string, events: FolderWatcherEvents): FolderWatcher {
  const watched = new Map<string, FSWatcher>();
  let rules: IgnoreRules = createIgnoreRules(DEFAULT_IGNORES);
  let failed = false;

  function fail(error: unknown): void {
    if (failed || (error as NodeJS.ErrnoException).code === "ENOENT") return;
    failed = true;
    events.failed(error as NodeJS.ErrnoException);
  }

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
    const path = pathIn(folder, name);
    if (folder === PACKAGES) {
      if (INSTALLED.includes(name)) events.changed(path);
      return;
    }
    const found = statSync(join(root, path), { throwIfNoEntry: false });
    // A folder may be another one now, and what was watched gone or elsewhere.
    if (kind === "rename") drop(path);
    if (path === PACKAGES) return found === undefined ? undefined : addPackages();
    if (rules.ignores(path, found?.isDirectory() ?? false)) return;
    if (name === IGNORE_FILE) restart();
    if (found?.isDirectory()) add(path);
    events.changed(path);
  }

  /** Who is fast has installed before it is watched. */
  function addPackages(): void {
    add(PACKAGES);
    if (INSTALLED.some((name) => existsSync(join(root, PACKAGES, name)))) events.changed(PACKAGES);
  }

  /** What was ignored may no longer be. */
  function restart(): void {
    for (const folder of [...watched.keys()]) drop(folder);
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

  add("");
  return { close: () => drop("") };
}

/** One file, also when it is replaced by another of its name, as editors do. */
export function watchFile(path: string, events: FolderWatcherEvents): FolderWatcher {
  const name = basename(path);
  let watcher: FSWatcher;
  try {
    watcher = watch(dirname(path), { persistent: false }, (_kind, heard) => {
      if (heard === name) events.changed(name);
    });
  } catch (error) {
    events.failed(error as NodeJS.ErrnoException);
    return { close() {} };
  }
  watcher.on("error", (error) => {
    watcher.close();
    events.failed(error);
  });
  return { close: () => watcher.close() };
}

function pathIn(folder: string, name: string): string {
  return folder === "" ? name : `${folder}/${name}`;
}
