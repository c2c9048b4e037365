import { dependenciesFailed } from "../failure.ts";
import { type LockedManifest, namesIn } from "./lock-file.ts";

/** Where a package may come from, if pnpm or Yarn installs it: a registry, or an archive. Else code would run, or files be missing. */
const RANGE = /^(?:[^:/]*|npm:[^:]*|catalog:[^:]*|patch:.*|https?:\/\/[^#]*\.(?:tgz|tar\.gz)(?:[#?].*)?)$/;
/** What a lock file has of anything else. `workspace:.` is Yarn's name for the function's own package. */
const ELSEWHERE =
  /(?<![\w/.-])(?:exec|portal|link|file|workspace|git(?:\+\w+)?|ssh):(?!\.["'])[^\s"',}]+|\{(?:[^{}\n]*, )?(?:repo|directory): [^,}]*|["@]https?:\/\/[^"\s]*\.git\b[^"\s]*/;
const GROUPS = ["dependencies", "optionalDependencies", "devDependencies"];

/** Refuses what pnpm and Yarn would take from folders, git or scripts: they get no more than package.json, lock file and patches. */
export function checkForeignLock({ packageJson, manager, fileName, text }: LockedManifest): void {
  for (const group of GROUPS)
    for (const [name, range] of Object.entries(namesIn(packageJson, group)))
      if (typeof range !== "string" || !RANGE.test(range)) throw elsewhere("package.json", `${name}@${String(range)}`);
  if (isWorkspace(packageJson, manager, text))
    throw dependenciesFailed(
      `${fileName} is that of a workspace with several packages, which is installed with npm's lock file only: give the function's folder a lock file of its own, or bundle its code before it is deployed.`,
    );
  const found = ELSEWHERE.exec(text)?.[0];
  if (found !== undefined) throw elsewhere(fileName, found);
}

function isWorkspace(packageJson: Readonly<Record<string, unknown>>, manager: string, text: string): boolean {
  if (manager === "yarn") return packageJson.workspaces !== undefined;
  const importers = /^importers:\n((?:(?: .*)?\n)*)/m.exec(text)?.[1] ?? "";
  return [...importers.matchAll(/^ {2}(\S[^:]*):/gm)].some(([, name]) => name !== ".");
}

function elsewhere(where: string, what: string) {
  return dependenciesFailed(
    `${where} takes a package from a folder, from git or from a script (${what.slice(0, 120)}): with pnpm and Yarn packages come from a registry or an archive's address. Publish it, import its files by a relative path, or use npm, which takes folders inside of the function's.`,
  );
}
