import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";

/** What says that nothing has this path, the user's own broken links and endless names included: all else is a failure to look. */
const ABSENT = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]);

export async function exists(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

/** @throws what kept it from being seen, but that it is not there */
export async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (ABSENT.has(error.code ?? "")) return undefined;
    throw error;
  });
}
