import { realpathSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";

/** `name`, `@scope/name` and what lies below: looked for in node_modules folders, up to the root of the disk. */
const BARE = /^(?![./#]|file:|node:|data:)/;

/**
 * Packages are found in the bundle or not at all: what happens to be installed above the bundle's folder is not the function's,
 * and would be missing on another machine.
 */
export function confinePackages(root: string): void {
  const inside = pathToFileURL(`${realpathSync(root)}/`).href;
  registerHooks({
    resolve(specifier, context, next) {
      const found = next(specifier, context);
      if (!BARE.test(specifier) || !found.url.startsWith("file:") || found.url.startsWith(inside)) return found;
      throw notFound(specifier, context.parentURL, context.conditions.includes("require"));
    },
  });
}

/** As Node says it, so that `try { require("optional") }` works as anywhere. */
function notFound(specifier: string, parent: string | undefined, isRequired: boolean): Error {
  const from = parent?.startsWith("file:") ? ` imported from ${fileURLToPath(parent)}` : "";
  const error = new Error(
    isRequired ? `Cannot find module '${specifier}'` : `Cannot find package '${specifier}'${from}`,
  );
  return Object.assign(error, { code: isRequired ? "MODULE_NOT_FOUND" : "ERR_MODULE_NOT_FOUND" });
}
