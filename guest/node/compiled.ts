import { accessSync, constants, existsSync } from "node:fs";
import { enableCompileCache } from "node:module";
import { join } from "node:path";

/** What the host has compiled of the bundle lies here; the host knows it by the same name (platform/src/agent/compile-cache.ts). */
export const COMPILED = ".colibri-compiled";

/**
 * Takes compiled code where nobody in a sandbox can have written it: Node would trust what it finds, and add to it, and others who
 * share the bundle would run that.
 */
export function useCompiled(root: string): void {
  const folder = join(root, COMPILED);
  if (existsSync(folder) && !isWritable(folder)) enableCompileCache({ directory: folder, portable: true });
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
