import { readdirSync, realpathSync, statSync } from "node:fs";
import { setSourceMapsSupport } from "node:module";
import { isAbsolute, join, relative, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { COMPILED, useCompiled } from "./compiled.ts";
import { findFunction, HandlerError, type LoadedFunction } from "./function.ts";
import { explainModuleKind } from "./module-kind.ts";
import { confinePackages } from "./module-walls.ts";
import { setStackRoot } from "./stack.ts";
import { placeSyntaxError } from "./syntax-place.ts";

const SHOWN_FILES = 20;

/**
 * Imports the handler's module from the bundle in `root`. `handler` is `file` or `file#export`.
 * @throws what the module throws; SyntaxErrors say file and line, HandlerErrors what is there instead.
 */
export async function loadFunction(root: string, handler: string): Promise<LoadedFunction> {
  const hash = handler.indexOf("#");
  const file = hash < 0 ? handler : handler.slice(0, hash);
  const name = hash < 0 ? undefined : handler.slice(hash + 1);
  const path = locate(resolve(root), file);
  setSourceMapsSupport(true);
  setStackRoot(resolve(root));
  confinePackages(root);
  useCompiled(resolve(root));
  const url = pathToFileURL(path).href;
  let exports: Record<string, unknown>;
  try {
    exports = await import(url);
  } catch (error) {
    const placed = error instanceof SyntaxError ? await placeSyntaxError(error, url, resolve(root)) : error;
    throw explainModuleKind(placed, realpathSync(root), file);
  }
  return findFunction(file, name, exports);
}

function locate(root: string, file: string): string {
  const path = join(root, file);
  const inside = relative(root, path);
  if (isAbsolute(file) || inside === "" || inside.startsWith(".."))
    throw new HandlerError(`the handler "${file}" leads out of the bundle; name a file inside of it`);
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  throw new HandlerError(`the handler's file "${file}" is not in the bundle, which holds ${list(root)}`);
}

function list(root: string): string {
  try {
    const names = readdirSync(root).filter((name) => name !== "node_modules" && name !== COMPILED);
    const shown = names.slice(0, SHOWN_FILES).join(", ");
    if (names.length === 0) return "nothing";
    return names.length > SHOWN_FILES ? `${shown} and ${names.length - SHOWN_FILES} more` : shown;
  } catch (error) {
    return `nothing that can be read: ${(error as Error).message}`;
  }
}
