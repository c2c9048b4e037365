import { createHash } from "node:crypto";
import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { walkFolder } from "#platform/builder/archive/walk.ts";
import { readTextFile } from "../input/text-file.ts";

/**
 * Tells whether anything that would be deployed has changed, from sizes and times. Looked at again and again: watching folders for
 * events needs one watch for each, misses those that come later, and differs between systems. Undefined without a colibri.yaml.
 */
export async function fingerprintOf(folder: string): Promise<string | undefined> {
  const path = join(folder, APP_FILE);
  if (!existsSync(path)) return undefined;
  const hash = createHash("sha256").update(stampOf(path));
  for (const source of sourcesIn(folder, path)) {
    const walked = await walkFolder(join(folder, source));
    if (walked.kind === "refused") hash.update(walked.message);
    else
      for (const entry of walked.entries) hash.update(`${entry.path}\0${stampOf(join(folder, source, entry.path))}\0`);
  }
  return hash.digest("hex");
}

/** None while the file has mistakes: then the file itself is what must change. */
function sourcesIn(folder: string, path: string): ReadonlySet<string> {
  let text: string;
  try {
    text = readTextFile(path);
  } catch {
    // A deployment says why it can't be read.
    return new Set();
  }
  const parsed = parseAppConfig(text, { exists: (inside) => existsSync(join(folder, inside)) });
  if (parsed.kind !== "config") return new Set();
  return new Set(Object.values(parsed.config.functions).map(({ source }) => source));
}

function stampOf(path: string): string {
  const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? "gone" : `${found.mtimeNs} ${found.ctimeNs} ${found.size} ${found.ino}`;
}
