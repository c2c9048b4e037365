import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";

const MESSAGE = "Packages are not taken from git: publish it, or put its files into the function's folder.";

/**
 * Variables under which npm, pnpm and Yarn find no git but one that refuses, also where a package's own lock file leads there, which
 * nobody has read before. npm takes them before any .npmrc, one of a cloned repository included.
 */
export async function withoutGit(
  scratch: string,
  variables: Readonly<Record<string, string>>,
): Promise<Readonly<Record<string, string>>> {
  const folder = join(scratch, "no-git");
  const program = join(folder, "git");
  await mkdir(folder, { recursive: true });
  await writeFile(program, `#!/bin/sh\necho "${MESSAGE}" >&2\nexit 1\n`, { mode: 0o700 });
  return {
    ...variables,
    PATH: [folder, variables.PATH].join(delimiter),
    npm_config_git: program,
    // Newer npm does not even try; repositories that hosts offer as archives need no git.
    npm_config_allow_git: "none",
    npm_config_ignore_scripts: "true",
    npm_config_global: "false",
  };
}
