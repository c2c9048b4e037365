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
  /** Of its supervisor. */
  readonly pid: number;
  colibri(...args: string[]): Promise<string>;
  /** A line as in a shell in `cwd`, `colibri` in it. */
  type(line: string, cwd: string): Promise<string>;
  close(): Promise<void>;
}

/** @param settings environment variables, such as COLIBRI_POOL. */
export async function startPlatform(
  checkout: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<RunningPlatform> {
  const home = mkdtempSync(join(tmpdir(), "colibri-bench-"));
  const env = {
    ...process.env,
    COLIBRI_CONTEXT: "local",
    COLIBRI_HOME: home,
    COLIBRI_PORT: "0",
    COLIBRI_CONTROL_PORT: "0",
    NO_COLOR: "1",
    ...settings,
  };
  const launcher = join(checkout, "bin", "colibri");
  const child = spawn(process.execPath, [launcher, "serve"], { env, stdio: ["ignore", "pipe", "inherit"] });
  // Where the bench ends before its time, nobody closes it.
  const abandon = () => {
    child.kill();
    rmSync(home, { recursive: true, force: true });
  };
  process.once("exit", abandon);
  const close = async () => {
    process.off("exit", abandon);
    await stop(child);
    rmSync(home, { recursive: true, force: true });
  };
  const { pid, ...addresses } = await ready(child, join(home, "run", "platform.json")).catch(async (error) => {
    await close();
    throw error;
  });
  return {
    ...addresses,
    home,
    pid,
    colibri: (...args) => run(process.execPath, [launcher, ...args], { env }),
    type: (line, cwd) => {
      const script = `colibri() { "${process.execPath}" "${launcher}" "$@"; }\n${line}`;
      return run("sh", ["-c", script], { cwd, env: { ...env, npm_command: "" } });
    },
    close,
  };
}

type Addresses = Pick<RunningPlatform, "functionsUrl" | "controlUrl" | "pid">;

function ready(child: ChildProcess, path: string): Promise<Addresses> {
  return new Promise((resolve, reject) => {
    child.once("close", (code) => reject(new Error(`the platform ended with ${code} before it was ready`)));
    const look = () => {
      if (!existsSync(path)) return;
      child.stdout?.off("data", look).resume();
      resolve(JSON.parse(readFileSync(path, "utf8")));
    };
    child.stdout?.setEncoding("utf8").on("data", look);
  });
}
