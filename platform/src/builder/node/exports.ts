import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { splitHandler } from "#contract/config/handler.ts";
import type { PlatformError } from "#contract/errors.ts";
import { buildFailed } from "../failure.ts";
import { withEsbuild } from "./esbuild-service.ts";

/** What an ES module exports, and its text as esbuild prints it: exports last, each statement of the file at a line's start. */
export interface PrintedModule {
  readonly exports: readonly string[];
  readonly text: string;
}

/** More exports than are known without reading others: `export *`, also of a CommonJS file that was bundled. */
const UNKNOWN = /^export \* from |^__reExport\(/m;

/** Undefined for what may be CommonJS: what that exports is known once it runs. */
export async function printModule(root: string, file: string, contents: string): Promise<PrintedModule | undefined> {
  const printed = await withEsbuild((esbuild) =>
    esbuild.build({
      stdin: { contents, loader: "js", sourcefile: file },
      ...{ bundle: false, write: false, metafile: true, format: "esm", logLevel: "silent" },
    }),
  ).catch(() => undefined);
  // Its syntax was checked before: what can't be an ES module is none.
  if (printed === undefined) return undefined;
  const { exports = [], imports = [] } = Object.values(printed.metafile.outputs)[0] ?? {};
  const { text } = printed.outputFiles[0]!;
  const format = Object.values(printed.metafile.inputs)[0]?.format;
  const isModule = exports.length > 0 || imports.some(({ kind }) => kind === "import-statement");
  const declared = await declaredType(root, file);
  if (declared?.type === "module" && (format === "cjs" || (exports.length === 0 && COMMON.test(text))))
    throw writtenAsCommon(file, declared.by);
  if (declared?.type === "commonjs" && format === "esm") throw writtenAsModule(file, declared.by);
  if (file.endsWith(".cjs") || (!isModule && declared?.type !== "module")) return undefined;
  return { exports, text };
}

interface DeclaredType {
  readonly type: "module" | "commonjs";
  /** What says so: the file's ending, or a package.json. */
  readonly by: "ending" | "package.json";
}

/** What Node takes it for, whatever is in it; undefined where it looks into the file. */
async function declaredType(root: string, file: string): Promise<DeclaredType | undefined> {
  if (file.endsWith(".cjs")) return { type: "commonjs", by: "ending" };
  if (!file.endsWith(".js")) return { type: "module", by: "ending" };
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    const text = await readFile(join(root, folder, "package.json"), "utf8").catch(() => undefined);
    const type = text === undefined ? undefined : typeOf(text);
    if (type === "module" || type === "commonjs") return { type, by: "package.json" };
    if (text !== undefined || folder === ".") return undefined;
  }
}

function writtenAsModule(file: string, by: DeclaredType["by"]): PlatformError {
  const renamed = `name the file ${file.replace(/\.c?js$/, ".mjs")}`;
  return by === "ending"
    ? buildFailed(`${file} is written with import or export, which a .cjs file can't have: ${renamed}.`)
    : buildFailed(
        `${file} is written with import or export, but package.json says "type": "commonjs": write "type": "module" there, or ${renamed} and let handler: say so.`,
      );
}

/** CommonJS's ways to export, at the beginning of a statement. */
const COMMON = /^(?:module\.exports\b|exports\.[\w$]+ = )/m;

function writtenAsCommon(file: string, by: DeclaredType["by"]): PlatformError {
  const why = by === "ending" ? `which a file named so can't have` : `but package.json says "type": "module"`;
  const renamed = file.replace(/\.\w+$/, ".cjs");
  return buildFailed(
    `${file} is written with module.exports, ${why}: write "export default" instead, or name the file ${renamed} and let handler: say so.`,
  );
}

function typeOf(manifest: string): unknown {
  try {
    return JSON.parse(manifest)?.type;
  } catch {
    // The check of dependencies says so, or Node.
    return undefined;
  }
}

/** Refuses a module that certainly lacks what the handler names: without running it, what an export is can't be told. */
export function requireExport(handler: string, { exports, text }: PrintedModule): void {
  const { file, export: named } = splitHandler(handler);
  const wanted = named === undefined ? ["default", "handler"] : [named];
  if (wanted.some((name) => exports.includes(name)) || UNKNOWN.test(text)) return;
  if (named !== undefined && mayHold(named, exports, text)) return;
  const problem = named === undefined || named === "default" ? "no default export" : `no export ${named}`;
  const has = exports.length === 0 ? "it exports nothing" : `it exports ${[...exports].sort().join(", ")}`;
  // The guest's words.
  throw buildFailed(
    `${file} has ${problem}; ${has}. Export a function (input, context) => output, or an object with fetch(request, context).`,
  );
}

/** The guest also looks into the default export. A plain function has no such property if nobody writes its name. */
function mayHold(name: string, exports: readonly string[], text: string): boolean {
  if (!exports.includes("default")) return false;
  if (new RegExp(`(?<![\\w$])${RegExp.escape(name)}(?![\\w$])`).test(text)) return true;
  const alias = /^ {2}([\w$]+) as default,?$/m.exec(text)?.[1];
  const local = alias === undefined ? undefined : (bindingOf(alias, text) ?? alias);
  return local === undefined || !isFunction(local, text);
}

/** `export default f` is printed as `var index_default = f`. */
function bindingOf(name: string, text: string): string | undefined {
  return new RegExp(`^var ${RegExp.escape(name)} = ([\\w$]+);$`, "m").exec(text)?.[1];
}

function isFunction(name: string, text: string): boolean {
  const escaped = RegExp.escape(name);
  const declared = `(?:async )?function\\*? ?${escaped}\\(`;
  const assigned = `(?:var|let|const) ${escaped} = (?:async )?(?:function\\b|\\([^()\\n]*\\) =>)`;
  return new RegExp(`^(?:${declared}|${assigned})`, "m").test(text);
}
