import { readdir, realpath } from "node:fs/promises";
import { dirname, join, relative, sep } from "node:path";
import { closest } from "#contract/config/suggest.ts";
import type { PlatformError } from "#contract/errors.ts";
import { statIfThere } from "../exists.ts";
import { buildFailed } from "../failure.ts";

/** An import or require of one of the function's own files. */
export interface OwnImport {
  /** `./…` or `../…`, as it is written. */
  readonly specifier: string;
  /** A real path below the function's folder. */
  readonly importer: string;
  readonly by: "import" | "require";
}

export const RELATIVE = /^\.{1,2}(?:\/|$)/;
/** What `require` tries. Node may take TypeScript too. */
const ENDINGS = [".js", ".json", ".node", ".ts", ".cts", ".mts"];

/** The real path of what Node would load; undefined where it finds nothing, and nothing outside of `root` is there at run time. */
export async function findOwnFile(root: string, { specifier, importer, by }: OwnImport): Promise<string | undefined> {
  const wanted = join(dirname(importer), by === "import" ? pathOfUrl(specifier) : specifier);
  for (const candidate of by === "import" ? [wanted] : await requireCandidates(wanted)) {
    if (!(await statIfThere(candidate))?.isFile()) continue;
    const path = await realpath(candidate);
    if (path.startsWith(root + sep)) return path;
  }
  return undefined;
}

/** What an import names is an address: `./a%20b.mjs?x` is the file `a b.mjs`. */
function pathOfUrl(specifier: string): string {
  const path = specifier.replace(/[?#].*$/s, "");
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

async function requireCandidates(wanted: string): Promise<string[]> {
  const inFolder = ["package.json", ...ENDINGS.map((ending) => `index${ending}`)];
  return [wanted, ...ENDINGS.map((ending) => wanted + ending), ...inFolder.map((name) => join(wanted, name))];
}

/** Says what is missing, and what was perhaps meant. */
export async function noOwnFile(root: string, missing: OwnImport): Promise<PlatformError> {
  const { specifier, importer, by } = missing;
  const wanted = join(dirname(importer), pathOfUrl(specifier));
  const verb = by === "import" ? "imports" : "requires";
  const begin = `${relative(root, importer)} ${verb} ${JSON.stringify(specifier)}`;
  if (!wanted.startsWith(root + sep))
    return buildFailed(
      `${begin}, which lies outside of the function's folder and is not deployed with it: move it in, or make it a package.`,
    );
  const meant = await nearest(wanted, specifier);
  const hint = meant === undefined ? "" : `Did you mean ${JSON.stringify(meant)}? `;
  return buildFailed(
    `${begin}, but there is no such file. ${hint}Correct the path, or add the file; if it is there, an ignore file leaves it out.`,
  );
}

async function nearest(wanted: string, specifier: string): Promise<string | undefined> {
  const found = await statIfThere(wanted);
  if (found?.isDirectory()) {
    const index = (await readdir(wanted)).find((name) => /^index\.[cm]?js$/.test(name));
    return index && `${specifier.replace(/\/$/, "")}/${index}`;
  }
  const names = await readdir(dirname(wanted)).catch(() => []);
  const name = wanted.slice(dirname(wanted).length + 1);
  const meant =
    names.find((each) => each.replace(/\.[^.]+$/, "") === name.replace(/\.[^.]+$/, "")) ?? closest(name, names);
  return meant && specifier.replace(/[^/]*$/, meant);
}
