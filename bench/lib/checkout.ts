import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { run } from "./tools.ts";

/** This checkout. */
export const HERE = fileURLToPath(new URL("../..", import.meta.url));

/** Another commit, checked out beside this one. Where its lock file is the same, the installed packages are shared. */
export async function checkoutRef(ref: string): Promise<{ readonly folder: string; close(): Promise<void> }> {
  const folder = join(mkdtempSync(join(tmpdir(), "colibri-against-")), "checkout");
  await run("git", ["-C", HERE, "worktree", "add", "--detach", folder, ref]);
  const sameLock = await run("git", ["-C", HERE, "diff", "--quiet", ref, "--", "package-lock.json"]).then(
    () => true,
    () => false,
  );
  if (sameLock) symlinkSync(join(HERE, "node_modules"), join(folder, "node_modules"));
  else await run("npm", ["ci"], { cwd: folder });
  return {
    folder,
    async close() {
      await run("git", ["-C", HERE, "worktree", "remove", "--force", folder]);
      rmSync(join(folder, ".."), { recursive: true, force: true });
    },
  };
}
