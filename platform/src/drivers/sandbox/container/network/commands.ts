/** `ip` and `nft`, run with their input on standard input and an end to every wait. */
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { createSystemClock } from "#base/clock.ts";
import { Shells } from "#base/shells.ts";

export interface NetworkTools {
  readonly ip: string;
  readonly nft: string;
  /** Of util-linux. */
}

export const SEARCH_PATH: readonly string[] = Object.freeze(["/usr/sbin", "/sbin", "/usr/bin", "/bin"]);

const TIMEOUT_MS = 15_000;
const shells = new Shells({ clock: createSystemClock() });

/** The first of that name; undefined when there is none. */
export async function findTool(name: string, searchPath: readonly string[]): Promise<string | undefined> {
  for (const folder of searchPath) {
    const path = join(folder, name);
    if (await access(path, constants.X_OK).then(yes, no)) return path;
  }
  return undefined;
}

/** Its standard output. @throws Error with what the program said. */
export function run(program: string, args: readonly string[], input = ""): Promise<string> {
  return shells.run(program, args, input, TIMEOUT_MS);
}

const yes = () => true;
const no = () => false;
