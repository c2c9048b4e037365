import { readdirSync, readlinkSync, realpathSync } from "node:fs";
import { relative } from "node:path";
import { isAlive, type ProcessStat, readStat } from "#base/process-group.ts";
import { ownPlaces } from "#base/reaper.ts";

/**
 * Processes that belong to a sandbox folder below `root` (an absolute path), by id: for sandboxes that no handle and no spawner
 * knows any more. A process belongs to a folder when it works there or was started with its home there.
 */
export function findLeftovers(root: string): Map<string, ProcessStat[]> {
  const roots = [root, realpathSync(root)];
  const found = new Map<string, ProcessStat[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const id = sandboxOf(pid, roots);
    const stat = id === undefined ? undefined : readStat(pid);
    if (id !== undefined && stat !== undefined && isAlive(stat)) found.set(id, [...(found.get(id) ?? []), stat]);
  }
  return found;
}

function sandboxOf(pid: number, roots: readonly string[]): string | undefined {
  const paths = [...workingFolder(pid), ...ownPlaces(pid)];
  return paths.flatMap((path) => roots.map((root) => idBelow(root, path))).find((id) => id !== undefined);
}

/** None when it is gone, or somebody else's, which a sandbox of this home is not. */
function workingFolder(pid: number): string[] {
  try {
    return [readlinkSync(`/proc/${pid}/cwd`)];
  } catch {
    return [];
  }
}

function idBelow(root: string, path: string): string | undefined {
  const first = relative(root, path).split("/")[0] ?? "";
  return first === "" || first === ".." ? undefined : first.replace(/ \(deleted\)$/, "");
}
