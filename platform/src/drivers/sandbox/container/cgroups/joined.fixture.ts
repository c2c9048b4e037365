import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { TestContext } from "node:test";
import type { Cgroup } from "./cgroups.ts";

/** As the spawner starts a sandbox: the shell joins, and execs what is to run in the group from its first instruction. */
const JOIN = 'for file in $FILES; do echo 0 > "$file" || exit 97; done; exec "$@"';

export interface Joined {
  readonly child: ChildProcess;
  /** Resolves with how it ended, which it may have long ago. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>;
  /** The next line that it writes. */
  line(): Promise<string>;
}

export function startIn(t: TestContext, group: Pick<Cgroup, "joinFiles">, command: readonly string[]): Joined {
  const env = { PATH: process.env.PATH, FILES: group.joinFiles.join(" ") };
  const child = spawn("sh", ["-c", JOIN, "sh", ...command], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  t.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  return { child, ended, line: async () => (await lines.next()).value ?? "" };
}
