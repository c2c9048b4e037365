import { copyFile, lstat, mkdir, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isObject } from "#contract/shape.ts";
import type { LockedManifest } from "./lock-file.ts";

/** Of package.json, what decides which packages are installed. The rest names programs, scripts and versions of tools. */
const KEYS = [
  "name",
  "version",
  "dependencies",
  "optionalDependencies",
  "devDependencies",
  "peerDependencies",
  "peerDependenciesMeta",
  "dependenciesMeta",
  "resolutions",
  "overrides",
];
const PNPM_KEYS = [
  "overrides",
  "packageExtensions",
  "patchedDependencies",
  "peerDependencyRules",
  "ignoredOptionalDependencies",
  "allowedDeprecatedVersions",
  "allowUnusedPatches",
  "catalog",
  "catalogs",
];
const PATCH_FOLDERS = ["patches", ".yarn/patches"];

type Table = Readonly<Record<string, unknown>>;

/**
 * A folder with no more of the function than a package manager needs to know. Its own folder may hold what such a tool would run:
 * plugins, hooks, a program to use in its place.
 */
export async function writeForeignProject(
  folder: string,
  source: string,
  { packageJson, fileName, text }: LockedManifest,
): Promise<void> {
  await mkdir(folder);
  await writePackageJson(folder, packageJson);
  // pnpm may put a document about itself before that of the packages.
  const lock = fileName === "pnpm-lock.yaml" ? text.slice(text.lastIndexOf("\n---\n") + 1).replace(/^---\n/, "") : text;
  await writeFile(join(folder, fileName), lock);
  for (const patches of PATCH_FOLDERS) await copyPatches(join(source, patches), join(folder, patches));
}

export function writePackageJson(folder: string, packageJson: Table, without: readonly string[] = []): Promise<void> {
  const { pnpm } = packageJson;
  const kept = pick(
    packageJson,
    KEYS.filter((key) => !without.includes(key)),
  );
  const settings = isObject(pnpm) ? { pnpm: pick(pnpm, PNPM_KEYS) } : {};
  return writeFile(join(folder, "package.json"), JSON.stringify({ ...kept, ...settings, private: true }));
}

/** pnpm-workspace.yaml with settings about versions only. It also says that folders further up are not looked at. */
export function pnpmSettings(settings: unknown): string {
  return JSON.stringify(isObject(settings) ? pick(settings, PNPM_KEYS) : {});
}

async function copyPatches(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true }).catch(() => [])) {
    if (!entry.isFile() || !entry.name.endsWith(".patch")) continue;
    const path = join(entry.parentPath, entry.name);
    if (!(await lstat(path)).isFile()) continue;
    const target = join(to, path.slice(from.length));
    await mkdir(dirname(target), { recursive: true });
    await copyFile(path, target);
  }
}

function pick(table: Table, keys: readonly string[]): Table {
  return Object.fromEntries(keys.filter((key) => Object.hasOwn(table, key)).map((key) => [key, table[key]]));
}
