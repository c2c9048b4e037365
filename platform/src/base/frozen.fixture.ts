/** Processes that can't be killed, for tests: held by the freezer of cgroups v1, they take a SIGKILL only when they are thawed. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup/freezer";

export interface Freezer {
  freeze(pid: number): void;
  thaw(): void;
  /** Whoever is in it still is killed. */
  remove(): Promise<void>;
}

/** A reason when this machine has none, or not for this user. */
export function createFreezer(name: string): Freezer | string {
  const folder = join(ROOT, `colibri-${name}-${process.pid}`);
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, "freezer.state"), "THAWED");
  } catch {
    return `needs root and the freezer of cgroups v1 at ${ROOT}`;
  }
  return {
    freeze(pid) {
      writeFileSync(join(folder, "cgroup.procs"), String(pid));
      writeFileSync(join(folder, "freezer.state"), "FROZEN");
    },
    thaw: () => writeFileSync(join(folder, "freezer.state"), "THAWED"),
    async remove() {
      writeFileSync(join(folder, "freezer.state"), "THAWED");
      const members = () =>
        readFileSync(join(folder, "cgroup.procs"), "latin1").split("\n").filter(Boolean).map(Number);
      for (const pid of members()) process.kill(pid, "SIGKILL");
      while (members().length > 0) await new Promise((resolve) => setTimeout(resolve, 5));
      rmdirSync(folder);
    },
  };
}
