import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";

let prefixes: readonly string[] = [];

/** Where the function's files lie: said relative to it from now on. */
export function setStackRoot(root: string): void {
  const real = realpathSync(root);
  prefixes = [...new Set([root, real])].flatMap((folder) => [`${pathToFileURL(folder).href}/`, `${folder}/`]);
}

/** A stack, or text with stacks in it, as its author knows the files. */
export function trimStack(text: string): string {
  const lines = text.split("\n").filter((line) => !isForeign(line));
  return shortenPaths(lines.join("\n"));
}

/** Frames of the guest and of Node's own code: of no use to whoever wrote the function. */
function isForeign(line: string): boolean {
  return (
    /^\s+at /.test(line) && (line.includes(import.meta.url) || /\(node:|at (?:async )?node:|node:internal/.test(line))
  );
}

export function shortenPaths(text: string): string {
  return prefixes.reduce((shortened, prefix) => shortened.replaceAll(prefix, ""), text);
}
