/**
 * Says on the host which home a platform's things there belong to, and whether that platform lives: a home may be gone while its
 * sandboxes are not. In /run, since what it speaks of does not outlive the machine's run either.
 */
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PlatformError } from "#contract/errors.ts";
import { homeKey } from "./home.ts";
import { isHeld, lockFile } from "./home-lock.ts";

/** Not in the folder of sandboxes, over which each platform mounts its own. */
const MARKS = "/run/colibri-homes";

interface Mark {
  readonly home: string;
  /** Process ids mean nothing in another. */
  readonly pids: string;
}

export type Owner =
  | { readonly kind: "lives" }
  | { readonly kind: "dead"; readonly home: string }
  /** Nothing tells. */
  | { readonly kind: "unknown" };

/** Returns what takes it away. @throws PlatformError when another has it. */
export function markHost(home: string, folder = MARKS): () => void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const key = homeKey(home);
  const locked = lockFile(lockPath(folder, key));
  if (locked.kind === "held") {
    const message = `what ${home} has on this machine is in the hands of process ${locked.pid}: wait until it ends`;
    throw new PlatformError("conflict", message);
  }
  writeFileSync(markPath(folder, key), JSON.stringify({ home, pids: pidNamespace() } satisfies Mark), { mode: 0o600 });
  return () => {
    rmSync(markPath(folder, key), { force: true });
    locked.unlock();
  };
}

export function ownerOf(key: string, folder = MARKS): Owner {
  const mark = readMark(markPath(folder, key));
  const held = isHeld(lockPath(folder, key));
  if (held === true) return { kind: "lives" };
  if (held === undefined || mark === undefined || mark.pids !== pidNamespace()) return { kind: "unknown" };
  return { kind: "dead", home: mark.home };
}

/** Of platforms that live, and of those that were killed. */
export function markedKeys(folder = MARKS): string[] {
  try {
    return readdirSync(folder).flatMap((name) => /^([0-9a-f]{8})\.json$/.exec(name)?.[1] ?? []);
  } catch {
    return [];
  }
}

/** Whoever has a key can't start meanwhile. Undefined when somebody has it; else with what ends this, and removes the mark if told so. */
export function holdKey(key: string, folder = MARKS): ((removeMark: boolean) => void) | undefined {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const locked = lockFile(lockPath(folder, key));
  if (locked.kind === "held") return undefined;
  return (removeMark) => {
    if (removeMark) rmSync(markPath(folder, key), { force: true });
    locked.unlock();
  };
}

function readMark(path: string): Mark | undefined {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Mark;
  } catch {
    return undefined;
  }
}

function lockPath(folder: string, key: string): string {
  return join(folder, `${key}.lock`);
}

function markPath(folder: string, key: string): string {
  return join(folder, `${key}.json`);
}

function pidNamespace(): string {
  return readlinkSync("/proc/self/ns/pid");
}
