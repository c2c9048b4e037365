import { realpathSync, statSync } from "node:fs";
import { isAbsolute, join, relative, sep } from "node:path";

/** What a path of a file of cases leads to: links are followed. */
export type Beside = "file" | "absent" | "outside";

/** Only what lies in the folder of the file of cases belongs to it: a file of cases that somebody else wrote reads nothing else. */
export function findBeside(folder: string, path: string): Beside {
  const steps = relative(folder, join(folder, path));
  if (isAbsolute(path) || leads(steps)) return "outside";
  try {
    const real = realpathSync(join(folder, path));
    if (leads(relative(realpathSync(folder), real))) return "outside";
    return statSync(real).isFile() ? "file" : "absent";
  } catch {
    return "absent";
  }
}

function leads(steps: string): boolean {
  return steps === ".." || steps.startsWith(`..${sep}`);
}
