import { relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Node's words for CommonJS in an ES module. What may follow them speaks of renaming, without `handler`. */
const COMMON_IN_MODULE = /^(module|exports|require|__filename|__dirname) is not defined in ES module scope/;
/** And for an ES module's syntax in CommonJS. */
const MODULE_IN_COMMON = /Unexpected token 'export'|Cannot use import statement outside a module/;
const FRAME = /^\s+at .*?(file:\/\/\/[^\s?]*?)\??:\d+:\d+\)?$/m;
const INSTEAD: Readonly<Record<string, string>> = {
  module: 'write "export default" instead',
  exports: 'write "export" instead',
  require: "write import instead",
  __filename: "write import.meta.filename instead",
  __dirname: "write import.meta.dirname instead",
};

interface Written {
  /** In `root`, as its author knows it. */
  readonly file: string;
  /** The handler's: its name stands in the configuration too. */
  readonly handler: string;
}

/** What was thrown while `handler` was imported; where a file is of the other kind than it is taken for, with what to do. */
export function explainModuleKind(error: unknown, root: string, handler: string): unknown {
  if (error instanceof ReferenceError) {
    const [, name] = COMMON_IN_MODULE.exec(error.message) ?? [];
    const file = name === undefined ? undefined : FRAME.exec(error.stack ?? "")?.[1];
    if (name === undefined || file === undefined) return error;
    return retold(error, error.message, writtenAsCommon(name, { file: relative(root, fileURLToPath(file)), handler }));
  }
  if (error instanceof SyntaxError) {
    const [said] = MODULE_IN_COMMON.exec(error.message) ?? [];
    const [, file] = /^(.*?\.c?js):\d+: /.exec(error.message) ?? [];
    // Node takes a .js file for CommonJS only where package.json says so.
    if (said !== undefined && file !== undefined)
      return retold(error, said, `${said}: ${writtenAsModule({ file, handler })}`);
  }
  return error;
}

function writtenAsCommon(name: string, { file, handler }: Written): string {
  const problem = `${name} is not defined in ${file}, an ES module`;
  const [ending = ""] = /\.\w+$/.exec(file) ?? [];
  // TypeScript is built to an ES module, whatever its name.
  if (ending.endsWith("ts")) return `${problem}: ${INSTEAD[name]}.`;
  const why = ending === ".mjs" ? "as its name ends in .mjs" : 'as package.json says "type": "module"';
  return `${problem}, ${why}: ${INSTEAD[name]}, or ${rename(file, ".cjs", handler)}.`;
}

function writtenAsModule({ file, handler }: Written): string {
  const renamed = rename(file, ".mjs", handler);
  return file.endsWith(".cjs")
    ? `a .cjs file can't have import or export; ${renamed}.`
    : `package.json says "type": "commonjs", and such a file can't have import or export; write "type": "module" there, or ${renamed}.`;
}

function rename(file: string, ending: string, handler: string): string {
  const name = `name the file ${file.replace(/\.\w+$/, ending)}`;
  return file === handler ? `${name} and let handler: say so` : name;
}

/** The same error, its stack too. */
function retold(error: Error, said: string, instead: string): Error {
  const stack = (error.stack ?? "").replace(said, () => instead);
  error.message = error.message.replace(said, () => instead);
  error.stack = stack;
  return error;
}
