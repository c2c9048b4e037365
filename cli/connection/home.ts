import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { Surroundings } from "../surroundings.ts";

const FOLDER = ".colibri";

export interface Home {
  readonly path: string;
  /** How it was found, for messages. */
  readonly from: "COLIBRI_HOME" | "found" | "default";
}

/** What the supervisor writes to `run/platform.json` when the platform is up. */
export interface RunningPlatform {
  readonly controlUrl?: string;
  readonly functionsUrl?: string;
}

/** COLIBRI_HOME, else `.colibri` here or in the nearest folder above that has one, else `.colibri` here. */
export function findHome(surroundings: Pick<Surroundings, "env" | "cwd">): Home {
  const given = surroundings.env.COLIBRI_HOME;
  if (given) return { path: resolve(surroundings.cwd, given), from: "COLIBRI_HOME" };
  for (let folder = surroundings.cwd; ; folder = dirname(folder)) {
    const path = join(folder, FOLDER);
    if (existsSync(path)) return { path, from: "found" };
    if (folder === dirname(folder)) return { path: join(surroundings.cwd, FOLDER), from: "default" };
  }
}

export function platformFile(home: Home): string {
  return join(home.path, "run", "platform.json");
}

export function tokenFile(home: Home): string {
  return join(home.path, "token");
}

/** Undefined while nothing runs there, or has never run. */
export function readPlatform(home: Home): RunningPlatform | undefined {
  const text = readOptional(platformFile(home));
  if (text === undefined) return undefined;
  try {
    const { controlUrl, functionsUrl } = JSON.parse(text) as Record<string, unknown>;
    return {
      ...(typeof controlUrl === "string" && { controlUrl }),
      ...(typeof functionsUrl === "string" && { functionsUrl }),
    };
  } catch {
    return undefined; // being written
  }
}

/** The process that holds the home's lock, if it lives: then a platform runs there, whether or not all of it answers. */
export function lockHolder(home: Home): number | undefined {
  const [pid = "", started] = (readOptional(join(home.path, "platform.lock")) ?? "").split(" ");
  const stat = /^\d+$/.test(pid) ? readOptional(`/proc/${pid}/stat`) : undefined;
  // Field 22 tells a process from a later one with its number; the name before it may hold anything but ends with the last bracket.
  const since = stat?.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return since !== undefined && since === started?.trim() ? Number(pid) : undefined;
}

export function readToken(home: Home): string | undefined {
  return readOptional(tokenFile(home))?.trim() || undefined;
}

function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
