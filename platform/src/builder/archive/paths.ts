import type { ArchiveLimits } from "./limits.ts";
import { refuse } from "./refusal.ts";

/** The path an entry's name means, without `.`, empty names and a slash at the end; empty for the folder itself. */
export function pathOf(name: string, limits: ArchiveLimits): string {
  checkCharacters(name, name);
  if (name.startsWith("/")) refuse(name, "absolute-path", "its path begins with a slash; paths must be relative");
  const names = namesIn(name);
  if (names.includes("..")) refuse(name, "path-escape", 'its path contains ".."');
  checkLengths(name, names, limits);
  return names.join("/");
}

/**
 * The target of a symbolic link at `path`, in its shortest form, if it stays inside. `..` may only stand at its beginning: there it
 * goes up from a real folder, since no entry lies below a link, so counting is enough. After a name it could go up from wherever a
 * link by that name leads, and two harmless links could make one that leads outside.
 */
export function targetOf(path: string, target: string, limits: ArchiveLimits): string {
  checkCharacters(path, target);
  const shown = JSON.stringify(target);
  if (target === "") refuse(path, "bad-link", "it is a link without a target");
  if (target.startsWith("/")) refuse(path, "link-outside", `it is a link to ${shown}; links must be relative`);
  const names = namesIn(target);
  const ups = names.lastIndexOf("..") + 1;
  if (names.slice(0, ups).some((name) => name !== "..")) {
    refuse(path, "link-outside", `it is a link to ${shown}, in which ".." stands after a name and may lead anywhere`);
  }
  if (ups >= path.split("/").length)
    refuse(path, "link-outside", `it is a link to ${shown}, which is outside of the folder`);
  checkLengths(path, names, limits);
  return names.join("/") || ".";
}

function namesIn(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function checkCharacters(shown: string, text: string): void {
  if (text.includes("\0")) refuse(shown, "bad-name", "its name contains a NUL byte");
  if (text.includes("\\")) refuse(shown, "bad-name", "its name contains a backslash; names are separated by slashes");
  if (text.includes("\uFFFD")) refuse(shown, "bad-name", "its name is not valid UTF-8");
}

function checkLengths(shown: string, names: readonly string[], limits: ArchiveLimits): void {
  const { maximumNameBytes, maximumPathBytes, maximumDepth } = limits;
  const cut = shown.slice(0, 100);
  if (names.length > maximumDepth)
    refuse(cut, "too-deep", `its path has ${names.length} names, allowed are ${maximumDepth}`);
  if (Buffer.byteLength(names.join("/")) > maximumPathBytes) {
    refuse(cut, "path-too-long", `its path is longer than ${maximumPathBytes} bytes`);
  }
  if (names.some((name) => Buffer.byteLength(name) > maximumNameBytes)) {
    refuse(cut, "path-too-long", `a name in its path is longer than ${maximumNameBytes} bytes`);
  }
}
