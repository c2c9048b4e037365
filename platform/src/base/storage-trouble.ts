import { statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * What the system says of a file that can't be read or written, told so that somebody can mend it: which file, why, and whose it is.
 * Undefined for whatever else went wrong. Node names no path where it wrote to an open file: `path` is for that.
 */
export function storageTrouble(error: unknown, path?: string): string | undefined {
  const { code, path: named, address } = (error ?? {}) as { code?: unknown; path?: unknown; address?: unknown };
  // Of a socket that can't be made, Node calls the path an address.
  const where = [path, named, address].find((one) => typeof one === "string" && one.startsWith("/")) as string;
  if (where === undefined) return undefined;
  const why = reason(String(code), where);
  return why && `${where} can't be used: ${why}`;
}

/** Also where a quota is. */
export function isDiskFull(error: unknown): boolean {
  const { code } = (error ?? {}) as { code?: unknown };
  return code === "ENOSPC" || code === "EDQUOT";
}

function reason(code: string, path: string): string | undefined {
  switch (code) {
    case "ENOSPC":
      return "its disk is full (ENOSPC): make room there";
    case "EDQUOT":
      return "the quota of its disk is used up (EDQUOT): make room there";
    case "EROFS":
      return "its disk is mounted read-only (EROFS)";
    case "EACCES":
    case "EPERM":
      return `${ownership(path)} (${code}): run as that user, or give it to this one with chown`;
    default:
      return undefined;
  }
}

function ownership(path: string): string {
  const me = `this is user ${process.getuid?.()}`;
  for (let at = path; ; at = dirname(at)) {
    const owner = ownerOf(at);
    // What is this user's own is shut by its mode, or its folder is another's.
    if (owner !== undefined && (owner !== process.getuid?.() || at === dirname(at)))
      return `${at === path ? "it" : at} belongs to user ${owner} and ${me}`;
    if (at === dirname(at)) return me;
  }
}

function ownerOf(path: string): number | undefined {
  try {
    return statSync(path).uid;
  } catch {
    return undefined;
  }
}
