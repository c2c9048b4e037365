import { posix } from "node:path";

/** Where npm would take a package from, by what package.json or a lock file says of it. */
export type PackageSource = "registry" | "archive" | "folder" | "outside" | "elsewhere";

const RANGE = /^(?:npm:(?:@[^/:@]+\/)?)?[^/:\\]*$/;
const LOCAL = /^(?:file:|[./]|~\/)/i;
/** At these hosts npm takes an address for that of a repository, whatever its name ends in, unless it is such a one. */
const REPOSITORY_ARCHIVES: Readonly<Record<string, RegExp>> = {
  "github.com": /^\/[^/]+\/[^/]+\/(?:archive|releases|tarball|raw)\/./,
  "gist.github.com": /^\/[^/]+\/[^/]+\/raw\/./,
  "gitlab.com": /\/-\//,
  "bitbucket.org": /^\/[^/]+\/[^/]+\/get\/./,
  "git.sr.ht": /^\/[^/]+\/[^/]+\/archive\/./,
};

export function sourceOf(spec: string): PackageSource {
  if (LOCAL.test(spec)) return isOutside(spec) ? "outside" : "folder";
  if (/^git\+file:/i.test(spec)) return "outside";
  if (/^https?:\/\//i.test(spec)) return isArchive(spec) ? "archive" : "elsewhere";
  return RANGE.test(spec) ? "registry" : "elsewhere";
}

function isArchive(address: string): boolean {
  if (/[\s\\]/.test(address) || !URL.canParse(address)) return false;
  const { hostname, pathname } = new URL(address);
  const archives = REPOSITORY_ARCHIVES[hostname.replace(/^www\./, "")];
  return archives === undefined ? !pathname.endsWith(".git") : archives.test(pathname);
}

/** Whether a path or `file:` address leads to files of this machine outside of the folder. */
export function isOutside(path: string): boolean {
  const bare = path.replace(/^file:/i, "").replaceAll("\\", "/");
  const normal = posix.normalize(bare.replace(/%2e/gi, ".").replace(/%2f/gi, "/"));
  return normal.startsWith("/") || normal.startsWith("~") || normal === ".." || normal.startsWith("../");
}
