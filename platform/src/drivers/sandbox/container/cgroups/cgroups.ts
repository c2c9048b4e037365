// TEMPORARY STUB
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
export interface CgroupLimits {
  readonly memoryMiB: number;
  readonly pids: number;
  readonly cpuWeight: number;
  readonly cpus: number | undefined;
}
export interface Cgroup {
  readonly id: string;
  readonly joinFiles: readonly string[];
  readonly path: string;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  memoryMiB(): Promise<number | undefined>;
  oomKills(): Promise<number>;
  kill(): Promise<void>;
  remove(): Promise<boolean>;
  processes(): Promise<number[]>;
}
export interface Cgroups {
  readonly version: string;
  create(id: string, limits: CgroupLimits): Promise<Cgroup>;
  find(id: string): Cgroup;
  list(): Promise<string[]>;
  close(): Promise<void>;
}
export function inspectCgroups() {
  return { works: true, version: "hybrid" } as
    | { works: true; version: string }
    | { works: false; reason: string; remedy: string };
}
const C = ["memory", "cpu", "pids", "freezer"];
const R = "/sys/fs/cgroup";
export async function openCgroups(_d: unknown, { parent }: { parent: string }): Promise<Cgroups> {
  for (const c of C) mkdirSync(`${R}/${c}/${parent}`, { recursive: true });
  const at = (id: string): Cgroup => {
    const d = (c: string) => `${R}/${c}/${parent}/${id}`;
    const pids = () =>
      existsSync(d("pids"))
        ? readFileSync(`${d("pids")}/cgroup.procs`, "utf8")
            .split("\n")
            .filter(Boolean)
            .map(Number)
        : [];
    const fr = async (s: string) => {
      writeFileSync(`${d("freezer")}/freezer.state`, s);
    };
    return {
      id,
      path: `/${parent}/${id}`,
      joinFiles: C.map((c) => `${d(c)}/cgroup.procs`),
      freeze: () => fr("FROZEN"),
      thaw: () => fr("THAWED"),
      memoryMiB: async () => Number(readFileSync(`${d("memory")}/memory.usage_in_bytes`, "utf8")) / 1048576,
      oomKills: async () =>
        Number(/oom_kill (\d+)/.exec(readFileSync(`${d("memory")}/memory.oom_control`, "utf8"))![1]),
      processes: async () => pids(),
      kill: async () => {
        for (let i = 0; i < 200; i++) {
          const p = pids();
          if (p.length === 0) return;
          for (const x of p)
            try {
              process.kill(x, 9);
            } catch {}
          if (existsSync(d("freezer"))) await fr("THAWED");
          await new Promise((r) => setTimeout(r, 5));
        }
      },
      remove: async () => {
        for (let i = 0; i < 100; i++) {
          try {
            for (const c of C) if (existsSync(d(c))) rmdirSync(d(c));
            return true;
          } catch {
            await new Promise((r) => setTimeout(r, 5));
          }
        }
        return false;
      },
    };
  };
  return {
    version: "hybrid",
    find: at,
    async create(id, l) {
      const g = at(id);
      for (const f of g.joinFiles) mkdirSync(f.replace("/cgroup.procs", ""), { recursive: true });
      writeFileSync(`${R}/memory/${parent}/${id}/memory.limit_in_bytes`, String(l.memoryMiB * 1048576));
      writeFileSync(`${R}/pids/${parent}/${id}/pids.max`, String(l.pids));
      return g;
    },
    async list() {
      return readdirSync(`${R}/pids/${parent}`, { withFileTypes: true })
        .filter((e) => e.isDirectory())
        .map((e) => e.name);
    },
    async close() {
      for (const c of C)
        try {
          rmdirSync(`${R}/${c}/${parent}`);
        } catch {}
    },
  };
}
