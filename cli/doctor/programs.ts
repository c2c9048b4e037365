import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Surroundings } from "../surroundings.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const run = promisify(execFile);
const LONGEST_MS = 10_000;
const NODE_MAJOR = 24;
const PYTHON_MINOR = 9;

type Env = Surroundings["env"];

export function checkNode(version: string, path: string): Finding {
  const detail = `${version} (${path})`;
  if (Number(version.split(".")[0]) >= NODE_MAJOR) return ok("Node", detail);
  return fail("Node", detail, `Node ${NODE_MAJOR} is needed: run "npm ci" without --omit=optional, or install it.`);
}

export async function checkPython(env: Env): Promise<Finding> {
  const found = await outputOf("python3", ["--version"], env);
  const version = found && /Python (3\.(\d+)\.\S+)/.exec(found);
  if (!version) return warn("python3", "not found", "Python functions need it: apt-get install python3");
  if (Number(version[2]) < PYTHON_MINOR)
    return warn("python3", version[1]!, `Python functions need 3.${PYTHON_MINOR} or later.`);
  return ok("python3", version[1]!);
}

export async function checkPip(env: Env): Promise<Finding> {
  const found = await outputOf("python3", ["-m", "pip", "--version"], env);
  const version = found && /^pip (\S+)/.exec(found)?.[1];
  if (version) return ok("pip", version);
  return warn("pip", "not found", "Functions with a requirements.txt need it: apt-get install python3-pip");
}

export async function checkNpm(env: Env): Promise<Finding> {
  const version = (await outputOf("npm", ["--version"], env))?.trim();
  if (version) return ok("npm", version);
  return warn("npm", "not found", "Functions with a package-lock.json need it: apt-get install npm");
}

/** Standard output, or undefined when the program is not there or fails. */
async function outputOf(name: string, args: readonly string[], env: Env): Promise<string | undefined> {
  try {
    const { stdout } = await run(name, [...args], { env: { ...env }, timeout: LONGEST_MS });
    return stdout;
  } catch {
    return undefined;
  }
}
