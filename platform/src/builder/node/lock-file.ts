import { readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { isObject } from "#contract/shape.ts";
import { buildFailed, dependenciesFailed } from "../failure.ts";

/** What a function says of its dependencies: package.json and the lock file beside it. */
export type Manifest =
  | { readonly kind: "none" }
  | { readonly kind: "unlocked"; readonly dependencies: readonly string[]; readonly otherLock: string | undefined }
  | { readonly kind: "locked"; readonly lock: Lock; readonly files: readonly string[] };

export interface Lock {
  readonly fileName: string;
  /** Name and folder of the packages that want to run a script when they are installed. */
  readonly withScripts: readonly { readonly name: string; readonly folder: string }[];
  /** Whether something is taken from the function's own folder: the lock file does not tell what. */
  readonly hasLocalPackages: boolean;
}

const LOCK_FILES = ["npm-shrinkwrap.json", "package-lock.json"] as const;
const OTHER_LOCKS = ["yarn.lock", "pnpm-lock.yaml", "bun.lock", "bun.lockb"];
const MAXIMUM_BYTES = 32 * 1024 ** 2;
const FOLDER = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/;

export async function readManifest(folder: string): Promise<Manifest> {
  const manifest = await readJson(folder, "package.json");
  for (const fileName of LOCK_FILES) {
    const lock = await readJson(folder, fileName);
    if (lock === undefined) continue;
    if (manifest === undefined)
      throw dependenciesFailed(`There is ${fileName} but no package.json beside it: deploy both.`);
    return { kind: "locked", lock: readLock(lock, fileName), files: ["package.json", fileName] };
  }
  const dependencies = Object.keys({
    ...namesIn(manifest, "dependencies"),
    ...namesIn(manifest, "optionalDependencies"),
  });
  if (dependencies.length === 0) return { kind: "none" };
  const found = await Promise.all(OTHER_LOCKS.map((name) => exists(join(folder, name))));
  return { kind: "unlocked", dependencies, otherLock: OTHER_LOCKS[found.indexOf(true)] };
}

function namesIn(manifest: Record<string, unknown> | undefined, key: string): Record<string, unknown> {
  const value = manifest?.[key];
  return isObject(value) ? value : {};
}

async function readJson(folder: string, fileName: string): Promise<Record<string, unknown> | undefined> {
  const path = join(folder, fileName);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return undefined;
  if (found.size > MAXIMUM_BYTES) throw buildFailed(`${fileName} is larger than ${MAXIMUM_BYTES} bytes.`);
  try {
    const value: unknown = JSON.parse((await readFile(path, "utf8")).replace(/^\ufeff/, ""));
    if (isObject(value)) return value;
  } catch (error) {
    throw buildFailed(`${fileName} is not JSON: ${(error as Error).message}.`, error);
  }
  throw buildFailed(`${fileName} must hold a JSON object.`);
}

function readLock(lock: Record<string, unknown>, fileName: string): Lock {
  const { packages } = lock;
  if (!isObject(packages))
    throw dependenciesFailed(
      `${fileName} is too old or damaged: run "npm install" with npm 7 or newer and deploy it again.`,
    );
  const withScripts: { name: string; folder: string }[] = [];
  let hasLocalPackages = false;
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "" || !isObject(entry)) continue;
    const source = typeof entry.resolved === "string" ? entry.resolved : "";
    if (isOutside(path) || isOutside(source))
      throw dependenciesFailed(
        `${fileName} takes ${JSON.stringify(path)} from ${JSON.stringify(source || path)}, outside of the function's folder: move it in, or publish it.`,
      );
    hasLocalPackages ||= entry.link === true || source.startsWith("file:") || !FOLDER.test(path);
    const name = FOLDER.exec(path)?.[1];
    if (name !== undefined && entry.hasInstallScript === true) withScripts.push({ name, folder: path });
  }
  return { fileName, withScripts, hasLocalPackages };
}

/** Whether a path, `file:` address or git address leads to files of this machine outside of the folder. */
function isOutside(address: string): boolean {
  if (/^git\+file:/i.test(address)) return true;
  const path = address.replace(/^file:/i, "");
  if (path === address && /^[a-z][a-z+]*:/i.test(address)) return false;
  const normal = posix.normalize(path.replaceAll("\\", "/").replace(/%2e/gi, ".").replace(/%2f/gi, "/"));
  return normal.startsWith("/") || normal.startsWith("~") || normal === ".." || normal.startsWith("../");
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
