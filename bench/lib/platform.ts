import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, stop } from "./tools.ts";

/** A whole platform on free ports with a home of its own, started from a checkout as a user would. */
export interface RunningPlatform {
  readonly functionsUrl: string;
  readonly controlUrl: string;
  readonly home: string;
  colibri(...args: string[]): Promise<string>;
  /** A line as in a shell in `cwd`, `colibri` in it. */
  type(line: string, cwd: string): Promise<string>;
  close(): Promise<void>;
}

export async function startPlatform(checkout: string): Promise<RunningPlatform> {
  const home = mkdtempSync(join(tmpdir(), "colibri-bench-"));
  const env = {
    ...process.env,
    COLIBRI_CONTEXT: "local",
    COLIBRI_HOME: home,
    COLIBRI_PORT: "0",
    COLIBRI_CONTROL_PORT: "0",
    NO_COLOR: "1",
  };
  const launcher = join(checkout, "bin", "colibri");
  const child = spawn(process.execPath, [launcher, "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  const addresses = await ready(child, join(home, "run", "platform.json"));
  return {
    ...addresses,
    home,
    colibri: (...args) => run(process.execPath, [launcher, ...args], { env }),
    type: (line, cwd) => {
      const script = `colibri() { "${process.execPath}" "${launcher}" "$@"; }\n${line}`;
      return run("sh", ["-c", script], { cwd, env: { ...env, npm_command: "" } });
    },
    async close() {
      await stop(child);
      rmSync(home, { recursive: true, force: true });
    },
  };
}

function ready(child: ChildProcess, path: string): Promise<{ functionsUrl: string; controlUrl: string }> {
  return new Promise((resolve, reject) => {
    child.once("close", (code) => reject(new Error(`the platform ended with ${code} before it was ready`)));
    child.stdout?.setEncoding("utf8").on("data", () => {
      if (existsSync(path)) resolve(JSON.parse(readFileSync(path, "utf8")));
    });
  });
}
