import { posix } from "node:path";
import { isObject } from "#contract/shape.ts";
import { dependenciesFailed } from "../failure.ts";
import { type LockedManifest, parseJson } from "./lock-file.ts";

const FOLDER = /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/]+$/;

export interface NpmLock {
  /** Whether something is taken from the function's own folder: the lock file does not tell what. */
  readonly hasLocalPackages: boolean;
}

/** Refuses what npm would take from outside of the function's folder. */
export function readNpmLock({ text, fileName }: LockedManifest): NpmLock {
  const { packages } = parseJson(text, fileName);
  if (!isObject(packages))
    throw dependenciesFailed(
      `${fileName} is too old or damaged: run "npm install" with npm 7 or newer and deploy it again.`,
    );
  let hasLocalPackages = false;
  for (const [path, entry] of Object.entries(packages)) {
    if (path === "" || !isObject(entry)) continue;
    const source = typeof entry.resolved === "string" ? entry.resolved : "";
    if (isOutside(path) || isOutside(source))
      throw dependenciesFailed(
        `${fileName} takes ${JSON.stringify(path)} from ${JSON.stringify(source || path)}, outside of the function's folder: move it in, or publish it.`,
      );
    hasLocalPackages ||= entry.link === true || source.startsWith("file:") || !FOLDER.test(path);
  }
  return { hasLocalPackages };
}

/** Whether a path, `file:` address or git address leads to files of this machine outside of the folder. */
function isOutside(address: string): boolean {
  if (/^git\+file:/i.test(address)) return true;
  const path = address.replace(/^file:/i, "");
  if (path === address && /^[a-z][a-z+]*:/i.test(address)) return false;
  const normal = posix.normalize(path.replaceAll("\\", "/").replace(/%2e/gi, ".").replace(/%2f/gi, "/"));
  return normal.startsWith("/") || normal.startsWith("~") || normal === ".." || normal.startsWith("../");
}
