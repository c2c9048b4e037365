import { readFileSync } from "node:fs";

/** How many of the kernel's kills for want of memory have been told of. */
let told = 0;

/** Whether a process of this sandbox that was killed just now was so for want of memory: each kill is told of once. */
export function wasKilledForMemory(): boolean {
  const counted = countKills(process.env.COLIBRI_OOM_KILLS);
  if (counted <= told) return false;
  told++;
  return true;
}

/** None where the platform does not show them: there a sandbox ends as a whole. */
function countKills(path: string | undefined): number {
  if (path === undefined) return 0;
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(path, "latin1"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
