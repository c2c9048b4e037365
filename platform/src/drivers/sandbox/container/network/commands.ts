/** `ip` and `nft`, run with their input on standard input and an end to every wait. */
import { execFile } from "node:child_process";
import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";

export interface NetworkTools {
  readonly ip: string;
  readonly nft: string;
}

export const SEARCH_PATH: readonly string[] = Object.freeze(["/usr/sbin", "/sbin", "/usr/bin", "/bin"]);

const TIMEOUT_MS = 15_000;
const MAXIMUM_OUTPUT_BYTES = 64 * 1024 * 1024;

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
  return new Promise((resolve, reject) => {
    const options = { timeout: TIMEOUT_MS, killSignal: "SIGKILL", maxBuffer: MAXIMUM_OUTPUT_BYTES } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout);
      const said = stderr.trim() || (error.killed ? `no end within ${TIMEOUT_MS} ms` : error.message);
      reject(new Error(`${program} ${args.join(" ")}: ${said}`, { cause: error }));
    });
    // A program that ends early closes its input; its exit says why.
    child.stdin!.on("error", () => {});
    child.stdin!.end(input);
  });
}

const yes = () => true;
const no = () => false;
