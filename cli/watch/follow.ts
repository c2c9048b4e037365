import { existsSync } from "node:fs";
import { join } from "node:path";
import { createSystemClock } from "#base/clock.ts";
import { parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { type FolderWatcher, watchFile, watchFolder } from "#platform/builder/archive/watch.ts";
import { readTextFile } from "../input/text-file.ts";

export interface Following {
  /** How often something was written, made or removed that would be deployed. */
  readonly changes: number;
  close(): void;
}

/** Installed packages are no part of what is sent. */
const PACKAGES = /^node_modules(?:\/|$)/;

/** Follows colibri.yaml in the folder and the folders that it names, also while they are not there. `warn`: not all can be followed. */
export function followApp(folder: string, warn: (error: NodeJS.ErrnoException) => void): Following {
  const clock = createSystemClock();
  const path = join(folder, APP_FILE);
  const sources = new Map<string, FolderWatcher>();
  let changes = 0;

  function follow(): void {
    const named = sourcesIn(path);
    for (const [source, watcher] of [...sources]) {
      if (named.has(source)) continue;
      watcher.close();
      sources.delete(source);
    }
    for (const source of named) {
      if (sources.has(source)) continue;
      const changed = (inside: string) => void (PACKAGES.test(inside) || changes++);
      sources.set(source, watchFolder(join(folder, source), { changed, failed: warn }, clock));
    }
  }

  function changed(): void {
    changes++;
    follow();
  }

  const file = watchFile(path, { changed, failed: warn }, clock);
  follow();
  return {
    get changes() {
      return changes;
    },
    close() {
      file.close();
      for (const watcher of sources.values()) watcher.close();
    },
  };
}

/** None while the file has mistakes of its own: then the file itself is what must change. */
function sourcesIn(path: string): ReadonlySet<string> {
  let text: string;
  try {
    if (!existsSync(path)) return new Set();
    text = readTextFile(path);
  } catch {
    // A deployment says why it can't be read.
    return new Set();
  }
  const parsed = parseAppConfig(text, { exists: () => true });
  if (parsed.kind !== "config") return new Set();
  return new Set(Object.values(parsed.config.functions).map(({ source }) => source));
}
