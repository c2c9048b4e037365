import { readFile, realpath } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import type { OnResolveArgs, Plugin } from "esbuild";
import type { PlatformError } from "#contract/errors.ts";
import { exists } from "../exists.ts";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import { withEsbuild } from "./esbuild-service.ts";

/** `name`, `@scope/name` and what lies below: not a path, an address or one of package.json's own `#imports`. */
const BARE = /^(?![./#])[^:]+$/;
/** A statement of the top level, as esbuild prints it, that calls require and cannot be got around. */
const REQUIRES = /^(?:(?:(?:const|let|var) [^=\n]+|[\w$.]+|\}) = )?require\("([^"\\]+)"\)/gm;

interface Import {
  readonly specifier: string;
  readonly importer: string;
}

/**
 * Refuses a JavaScript handler that can't load for want of a package. Counted are the imports of its module and of those it
 * imports from the function's folder, and a CommonJS handler's requires outside of any block. What is imported or required
 * later, or in a `try`, may be meant to be missing.
 */
export async function checkPackages(job: Pick<Job, "source">, file: string): Promise<void> {
  const root = await realpath(job.source);
  const { imports, required } = await collect(root, file);
  const calls = required.length === 0 ? [] : await topLevelRequires(root, file);
  for (const { specifier, importer } of [...imports, ...required.filter((call) => calls.includes(call.specifier))]) {
    if (!(await isInstalled(root, dirname(importer), specifier)))
      throw notInstalled(relative(root, importer), specifier);
  }
}

/** Whether Node finds something of that name from a file in `folder` on, looking no further up than `root`. */
export async function isInstalled(root: string, folder: string, specifier: string): Promise<boolean> {
  if (!BARE.test(specifier) || isBuiltin(specifier)) return true;
  const name = nameOf(specifier);
  for (let at = folder; ; at = dirname(at)) {
    // `require` also takes a plain file.
    for (const ending of ["", ".js", ".json", ".node"])
      if (await exists(join(at, "node_modules", name + ending))) return true;
    // A package may import itself.
    if ((await packageName(at)) === name) return true;
    if (!at.startsWith(root + sep)) return false;
  }
}

/** `who` is the file, or says that it is one of several. */
export function notInstalled(who: string, specifier: string): PlatformError {
  const name = nameOf(specifier);
  return buildFailed(
    `${who} imports the package ${name}, which is not installed: run "npm install ${name}" in the function's folder and deploy package.json and package-lock.json with it.`,
  );
}

function nameOf(specifier: string): string {
  return /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier;
}

interface Collected {
  readonly imports: Import[];
  /** Of the handler itself, wherever in it. */
  readonly required: Import[];
}

async function collect(root: string, file: string): Promise<Collected> {
  const found: Collected = { imports: [], required: [] };
  const entry = await realpath(join(root, file));
  await withEsbuild((esbuild) =>
    esbuild.build({
      entryPoints: [entry],
      plugins: [collector(root, entry, found)],
      ...{ bundle: true, write: false, platform: "node", format: "esm", tsconfigRaw: {}, logLevel: "silent" },
    }),
  ).catch(() => {
    // A file that esbuild does not understand is for Node to judge; what was found is true all the same.
  });
  return found;
}

/** Resolves by itself, and only the function's own modules: esbuild would go on looking in folders above the function's. */
function collector(root: string, entry: string, { imports, required }: Collected): Plugin {
  const resolve = async ({ kind, path: specifier, importer, resolveDir }: OnResolveArgs) => {
    if (kind === "entry-point") return { path: entry };
    const external = { path: specifier, external: true };
    if (kind === "require-call" && importer === entry) required.push({ specifier, importer });
    if (kind !== "import-statement") return external;
    if (!/^\.{1,2}\//.test(specifier)) {
      imports.push({ specifier, importer });
      return external;
    }
    const path = await realpath(join(resolveDir, specifier)).catch(() => "");
    const isOwn = path.startsWith(root + sep) && !path.includes(`${sep}node_modules${sep}`);
    return isOwn ? { path } : external;
  };
  return {
    name: "packages",
    setup(build) {
      build.onResolve({ filter: /.*/ }, resolve);
      build.onLoad({ filter: /.*/ }, async ({ path }) => ({ contents: await readFile(path), loader: "js" }));
    },
  };
}

async function topLevelRequires(root: string, file: string): Promise<readonly string[]> {
  const text = await readFile(join(root, file), "utf8");
  const { code } = await withEsbuild((esbuild) => esbuild.transform(text, { loader: "js", logLevel: "silent" }));
  return [...code.matchAll(REQUIRES)].map(([, specifier = ""]) => specifier);
}

async function packageName(folder: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, "package.json"), "utf8")).name;
  } catch {
    return undefined;
  }
}
