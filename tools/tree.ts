import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ignore from "ignore";

/** The checkout these tools belong to. */
export const ROOT = dirname(import.meta.dirname);

/** Paths of all files git tracks or would offer to track, sorted, relative to `root` and with forward slashes. */
export function listFiles(root: string): string[] {
  const paths = existsSync(join(root, ".git")) ? listWithGit(root) : listUnignored(root);
  return paths.filter((path) => existsSync(join(root, path))).sort();
}

/** Runs git on this checkout alone, and returns what it printed. */
export function git(root: string, args: string[]): string {
  // Inside a hook, GIT_DIR and the like would point elsewhere.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("GIT_")));
  // A checkout mounted into a container belongs to someone else, which git refuses unless told.
  const trusted = ["-c", `safe.directory=${root}`, ...args];
  return execFileSync("git", trusted, { cwd: root, env, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}

function listWithGit(root: string): string[] {
  const listed = git(root, ["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
  return [...new Set(listed.split("\0").filter((path) => path !== ""))];
}

/** For an unpacked archive, where git has nothing to say. */
function listUnignored(root: string): string[] {
  const rules = ignore()
    .add(".git/\n")
    .add(readFileSync(join(root, ".gitignore"), "utf8"));
  const found: string[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
      const path = folder + entry.name;
      if (rules.ignores(entry.isDirectory() ? `${path}/` : path)) continue;
      if (entry.isDirectory()) visit(`${path}/`);
      else found.push(path);
    }
  };
  visit("");
  return found;
}
