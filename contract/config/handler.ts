/** Handlers, `file` or `file#export`, and the runtimes that run them. */

export interface RuntimeFamily {
  readonly name: string;
  /** Endings of files that may hold a handler. */
  readonly endings: readonly string[];
  /** Looked for in this order where the configuration names no handler. */
  readonly handlers: readonly string[];
  readonly executions: readonly ("loop" | "threads" | "process")[];
}

export const RUNTIME_FAMILIES: readonly RuntimeFamily[] = [
  {
    name: "nodejs",
    endings: [".mjs", ".js", ".cjs", ".ts", ".mts", ".cts", ".tsx"],
    handlers: ["index.mjs", "index.js", "index.cjs", "index.ts", "index.mts"],
    executions: ["loop", "process"],
  },
  {
    name: "python",
    endings: [".py"],
    handlers: ["handler.py", "main.py", "app.py"],
    executions: ["threads", "loop", "process"],
  },
];

const WRITTEN = /^([a-z][a-z-]*?)-?(\d+(?:\.\d+)*)?$/;
const TYPESCRIPT = /\.(?:ts|mts|cts|tsx)$/;

/** `nodejs24` → nodejs and 24; undefined where the text can't be a runtime at all. */
export function splitRuntime(runtime: string): { readonly family: string; readonly version?: string } | undefined {
  const match = WRITTEN.exec(runtime);
  if (match === null) return undefined;
  const [, family = "", version] = match;
  return { family, ...(version === undefined ? {} : { version }) };
}

export function runtimeFamily(runtime: string): RuntimeFamily | undefined {
  const name = splitRuntime(runtime)?.family;
  return RUNTIME_FAMILIES.find((family) => family.name === name);
}

export function splitHandler(handler: string): { readonly file: string; readonly export?: string } {
  const at = handler.indexOf("#");
  return at === -1 ? { file: handler } : { file: handler.slice(0, at), export: handler.slice(at + 1) };
}

/** TypeScript becomes JavaScript when a bundle is built. */
export function isTypeScript(file: string): boolean {
  return TYPESCRIPT.test(file);
}

/** What a handler of the source is called in the bundle: `index.ts#resize` is `index.mjs#resize` there, others stay. */
export function builtHandler(handler: string): string {
  const { file } = splitHandler(handler);
  return isTypeScript(file) ? file.replace(TYPESCRIPT, ".mjs") + handler.slice(file.length) : handler;
}

/** What is wrong with the spelling of a handler, or undefined. */
export function handlerProblem(handler: string, family: RuntimeFamily): string | undefined {
  const parts = splitHandler(handler);
  const example = family.handlers[0];
  if (parts.file === "" || handler.length > 512 || handler.includes("\0"))
    return `is not a handler: write a file of the function's folder, such as ${example} or ${example}#name`;
  if (/^[/\\]/.test(parts.file) || parts.file.split(/[/\\]/).includes(".."))
    return `must lie inside the function's folder: write a relative path without "..", such as ${example}`;
  if (parts.export !== undefined && !/^[A-Za-z_$][\w$]*$/.test(parts.export))
    return `has ${JSON.stringify(parts.export)} after "#", which is no name of an export`;
  if (family.endings.some((ending) => parts.file.endsWith(ending))) return undefined;
  const dotted = /^([\w./-]+)\.([A-Za-z_]\w*)$/.exec(handler);
  const meant = dotted === null ? example : `${dotted[1]}${family.endings[0]}#${dotted[2]}`;
  return `is no file of ${family.name} (${family.endings.join(", ")}): write the file with its ending, such as ${meant}`;
}
