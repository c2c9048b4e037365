import { readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { relative } from "node:path";
import { readStat } from "#base/process-group.ts";

/**
 * Process groups that belong to a sandbox folder below `root` (an absolute path), by id: for sandboxes that no handle and no spawner knows any
 * more. A process belongs to a folder when it works there or was started with its home there.
 */
export function findLeftovers(root: string): Map<string, number> {
  const roots = [root, realpathSync(root)];
  const found = new Map<string, number>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const id = sandboxOf(pid, roots);
    const stat = id === undefined ? undefined : readStat(pid);
    if (id !== undefined && stat !== undefined && stat.state !== "Z") found.set(id, stat.group);
  }
  return found;
}

function sandboxOf(pid: number, roots: readonly string[]): string | undefined {
  try {
    const home = /(?:^|\0)HOME=([^\0]*)/.exec(readFileSync(`/proc/${pid}/environ`, "utf8"))?.[1];
    const paths = [readlinkSync(`/proc/${pid}/cwd`), ...(home === undefined ? [] : [home])];
    return paths.flatMap((path) => roots.map((root) => idBelow(root, path))).find((id) => id !== undefined);
  } catch {
    // Gone meanwhile, or somebody else's, which a sandbox of this home is not.
    return undefined;
  }
}

function idBelow(root: string, path: string): string | undefined {
  const first = relative(root, path).split("/")[0] ?? "";
  return first === "" || first === ".." ? undefined : first.replace(/ \(deleted\)$/, "");
}
