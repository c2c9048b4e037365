// The walls and habits of this repository that a machine can hold. One check a file in tools/tidy/; `npm test -- tidy` runs them.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { checkAmbient } from "./tidy/ambient.ts";
import { checkBarrels } from "./tidy/barrels.ts";
import { checkDead } from "./tidy/dead.ts";
import { checkLinks } from "./tidy/links.ts";
import { checkLock } from "./tidy/lock.ts";
import { checkMachine } from "./tidy/machine.ts";
import { checkMarks } from "./tidy/marks.ts";
import { checkNames } from "./tidy/names.ts";
import { checkPackages } from "./tidy/packages.ts";
import { checkSize } from "./tidy/size.ts";
import type { File, Finding } from "./tidy/source.ts";
import { checkUnused } from "./tidy/unused.ts";
import { checkWalls } from "./tidy/walls.ts";
import { git, listFiles, ROOT } from "./tree.ts";

type Check = (files: File[]) => Finding[];

const CHECKS: Record<string, Check> = {
  walls: checkWalls,
  barrels: checkBarrels,
  packages: (files) => checkPackages(files),
  ambient: checkAmbient,
  size: checkSize,
  names: checkNames,
  marks: checkMarks,
  dead: checkDead,
  unused: checkUnused,
  links: checkLinks,
  lock: checkLock,
  machine: (files) => checkMachine(files, checkoutsOf(ROOT)),
};

function tidy(files: File[]): Finding[] {
  return Object.values(CHECKS)
    .flatMap((check) => check(files))
    .sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

function readFiles(root: string): File[] {
  return listFiles(root).map((path) => ({ path, text: readText(join(root, path)) }));
}

function readText(path: string): string {
  const bytes = readFileSync(path);
  return bytes.subarray(0, 8192).includes(0) ? "" : bytes.toString("utf8");
}

/** This checkout, and the one that holds the repository when this is a worktree of it. */
function checkoutsOf(root: string): string[] {
  if (!existsSync(join(root, ".git"))) return [root];
  return [root, dirname(resolve(root, git(root, ["rev-parse", "--git-common-dir"]).trim()))];
}

if (import.meta.main) {
  const files = readFiles(ROOT);
  const findings = tidy(files);
  for (const { path, line, message } of findings) console.log(`${path}:${line}: ${message}`);
  console.log(findings.length === 0 ? `${files.length} files are tidy` : `${findings.length} findings`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
