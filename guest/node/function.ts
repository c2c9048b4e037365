import type { Context, InitContext } from "./context.ts";

/** The function a guest was loaded with, in one of its two styles. */
export type LoadedFunction = Called & { readonly init: ((context: InitContext) => unknown) | undefined };

type Called =
  | { readonly style: "plain"; readonly call: (input: unknown, context: Context) => unknown }
  | { readonly style: "fetch"; readonly call: (request: Request, context: Context) => unknown };

type Exports = Readonly<Record<string, unknown>>;
type Callable = (...values: never[]) => unknown;

/** The user's module has not what the handler names. */
export class HandlerError extends Error {}

/**
 * Finds the function in what a module exports: the export named, or the default one (a handler, or an object with `fetch`), or
 * `handler`. CommonJS modules arrive with module.exports as their default. @throws HandlerError
 */
export function findFunction(file: string, name: string | undefined, exports: Exports): LoadedFunction {
  const common = asExports(exports.default);
  const found = name === undefined ? findUnnamed(exports, common) : (member(exports, name) ?? member(common, name));
  const init = exports.init ?? common?.init;
  const loaded = toFunction(found);
  if (loaded === undefined) throw new HandlerError(explain(file, name, found, exports, common));
  if (init !== undefined && typeof init !== "function")
    throw new HandlerError(`${file} exports init, but it is a ${typeof init}, not a function`);
  return { ...loaded, init: init as LoadedFunction["init"] };
}

/** What every object has, such as `__proto__`, nobody exported. */
function member(exports: Exports | undefined, name: string): unknown {
  return exports === undefined || name in Object.prototype ? undefined : exports[name];
}

function findUnnamed(exports: Exports, common: Exports | undefined): unknown {
  const candidates = [exports.default, common?.default, common?.handler, exports.handler];
  return candidates.find((candidate) => toFunction(candidate) !== undefined) ?? exports.default;
}

function toFunction(value: unknown): Called | undefined {
  if (typeof value === "function")
    return { style: "plain", call: value as (input: unknown, context: Context) => unknown };
  const fetch = asExports(value)?.fetch;
  if (typeof fetch !== "function") return undefined;
  return { style: "fetch", call: (fetch as Callable).bind(value) as (request: Request, context: Context) => unknown };
}

function asExports(value: unknown): Exports | undefined {
  return (typeof value === "object" && value !== null) || typeof value === "function" ? (value as Exports) : undefined;
}

function explain(
  file: string,
  name: string | undefined,
  found: unknown,
  exports: Exports,
  common: Exports | undefined,
): string {
  const names = new Set([...Object.keys(exports), ...(typeof common === "object" ? Object.keys(common) : [])]);
  names.delete("module.exports");
  const has = names.size === 0 ? "it exports nothing" : `it exports ${[...names].join(", ")}`;
  const wanted = name === undefined ? "no default export" : `no export ${name}`;
  const problem =
    found === undefined ? wanted : `a ${name ?? "default"} export that is ${kindOf(found)}, not a function`;
  return `${file} has ${problem}; ${has}. Export a function (input, context) => output, or an object with fetch(request, context).`;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return `${typeof value === "object" ? "an" : "a"} ${typeof value}`;
}
