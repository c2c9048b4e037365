import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isObject } from "#contract/shape.ts";
import { exists, statIfThere } from "../exists.ts";
import { buildFailed, dependenciesFailed } from "../failure.ts";

export type Manager = "npm" | "pnpm" | "yarn";

/** What a function says of its dependencies: package.json and the lock file beside it. */
export type Manifest =
  | { readonly kind: "none" }
  | { readonly kind: "unlocked"; readonly dependencies: readonly string[]; readonly otherLock: string | undefined }
  | LockedManifest;

export interface LockedManifest {
  readonly kind: "locked";
  readonly packageJson: Readonly<Record<string, unknown>>;
  readonly manager: Manager;
  readonly fileName: string;
  /** The lock file's. */
  readonly text: string;
}

/** Of one manager the first counts, as it does for npm itself. */
const LOCK_FILES: readonly (readonly [string, Manager])[] = [
  ["npm-shrinkwrap.json", "npm"],
  ["package-lock.json", "npm"],
  ["pnpm-lock.yaml", "pnpm"],
  ["yarn.lock", "yarn"],
];
const OTHER_LOCKS = ["bun.lock", "bun.lockb", "deno.lock"];
const MAXIMUM_BYTES = 32 * 1024 ** 2;

export async function readManifest(folder: string): Promise<Manifest> {
  const packageJson = await readJson(folder, "package.json");
  const found = await findLocks(folder);
  const named = packageManagerOf(packageJson);
  const [first] = found;
  if (first === undefined) return unlocked(folder, packageJson);
  if (packageJson === undefined)
    throw dependenciesFailed(`There is ${first.fileName} but no package.json beside it: deploy both.`);
  const lock = chooseLock(found, named);
  const text = (await readText(folder, lock.fileName))!;
  return { kind: "locked", packageJson, ...lock, text };
}

interface FoundLock {
  readonly fileName: string;
  readonly manager: Manager;
}

async function findLocks(folder: string): Promise<FoundLock[]> {
  const found: FoundLock[] = [];
  for (const [fileName, manager] of LOCK_FILES) {
    const isThere = (await exists(join(folder, fileName))) && !found.some((lock) => lock.manager === manager);
    if (isThere) found.push({ fileName, manager });
  }
  return found;
}

function chooseLock(found: readonly FoundLock[], named: PackageManager | undefined): FoundLock {
  const names = found.map(({ fileName }) => fileName).join(" and ");
  if (named !== undefined) {
    const lock = found.find(({ manager }) => manager === named.name);
    if (lock !== undefined) return lock;
    throw dependenciesFailed(
      `package.json names ${named.name} in packageManager, but the lock file is ${names}: run "${named.name} install" and deploy its lock file, or correct packageManager.`,
    );
  }
  if (found.length === 1) return found[0]!;
  throw dependenciesFailed(
    `There are two lock files, ${names}, which may say different things: remove one, or name the one that counts in package.json, such as "packageManager": "${found[1]!.manager}@…".`,
  );
}

export interface PackageManager {
  readonly name: string;
  readonly major: number | undefined;
}

/** `packageManager` of package.json, such as `pnpm@10.1.0+sha512.…`. */
export function packageManagerOf(packageJson: Readonly<Record<string, unknown>> = {}): PackageManager | undefined {
  const { packageManager } = packageJson;
  if (typeof packageManager !== "string") return undefined;
  const match = /^([a-z]+)(?:@(\d+)?.*)?$/.exec(packageManager);
  if (match === null)
    throw dependenciesFailed(
      `packageManager in package.json is ${JSON.stringify(packageManager.slice(0, 60))}: write a name and a version, such as "pnpm@10.1.0".`,
    );
  return { name: match[1]!, major: match[2] === undefined ? undefined : Number(match[2]) };
}

async function unlocked(folder: string, packageJson: Record<string, unknown> | undefined): Promise<Manifest> {
  const dependencies = Object.keys({
    ...namesIn(packageJson, "dependencies"),
    ...namesIn(packageJson, "optionalDependencies"),
  });
  if (dependencies.length === 0) return { kind: "none" };
  const found = await Promise.all(OTHER_LOCKS.map((name) => exists(join(folder, name))));
  return { kind: "unlocked", dependencies, otherLock: OTHER_LOCKS[found.indexOf(true)] };
}

export function namesIn(
  manifest: Readonly<Record<string, unknown>> | undefined,
  key: string,
): Readonly<Record<string, unknown>> {
  const value = manifest?.[key];
  return isObject(value) ? value : {};
}

async function readJson(folder: string, fileName: string): Promise<Record<string, unknown> | undefined> {
  const text = await readText(folder, fileName);
  return text === undefined ? undefined : parseJson(text, fileName);
}

export function parseJson(text: string, fileName: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (error) {
    throw buildFailed(`${fileName} is not JSON: ${(error as Error).message}.`, error);
  }
  throw buildFailed(`${fileName} must hold a JSON object.`);
}

/** Without a byte order mark; undefined where there is no such file. */
export async function readText(folder: string, fileName: string): Promise<string | undefined> {
  const path = join(folder, fileName);
  const found = await statIfThere(path);
  if (found === undefined) return undefined;
  if (!found.isFile() || found.size > MAXIMUM_BYTES)
    throw buildFailed(`${fileName} must be a file of at most ${MAXIMUM_BYTES} bytes.`);
  return (await readFile(path, "utf8")).replace(/^\ufeff/, "");
}
