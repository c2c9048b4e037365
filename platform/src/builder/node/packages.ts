import { readFile, realpath } from "node:fs/promises";
import { isBuiltin } from "node:module";
import { dirname, join, relative, sep } from "node:path";
import type { BuildFailure, Location, OnResolveArgs, Plugin } from "esbuild";
import type { PlatformError } from "#contract/errors.ts";
import { exists } from "../exists.ts";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import { withEsbuild } from "./esbuild-service.ts";
import { findOwnFile, noOwnFile, RELATIVE } from "./own-file.ts";

/** `name`, `@scope/name` and what lies below: not a path, an address or one of package.json's own `#imports`. */
const BARE = /^(?![./#])[^:]+$/;
/** A statement of the top level, as esbuild prints it, that calls require and cannot be got around. */
const REQUIRES = /^(?:(?:(?:const|let|var) [^=\n]+|[\w$.]+|\}) = )?require\("([^"\\]+)"\)/gm;

interface Import {
  readonly specifier: string;
  readonly importer: string;
  readonly by: "import" | "require";
}

/**
 * Refuses a JavaScript handler that can't load for want of a package or of one of its own files. Counted are the imports of its
 * module, a CommonJS file's requires outside of any block, and those of the files of the function that are so loaded. What is
 * imported or required later may be meant to be missing: of a file of the function's own that is told, unless it stands in a `try`.
 */
export async function checkPackages(
  job: Pick<Job, "source"> & Partial<Pick<Job, "onStep">>,
  file: string,
): Promise<void> {
  const root = await realpath(job.source);
  const modules = new Set([await realpath(join(root, file))]);
  await withEsbuild(async () => {
    for (const module of modules) {
      const { imports, required, doubtful } = await collect(root, module);
      const calls = required.length === 0 ? [] : await topLevelRequires(module);
      for (const found of [...imports, ...required.filter((call) => calls.includes(call.specifier))]) {
        const path = await requireThere(root, found);
        if (path !== undefined && isOwnModule(root, path)) modules.add(path);
      }
      for (const text of doubtful) job.onStep?.(`Warning: ${text}`);
    }
  });
}

/** Where one of the function's own files is. */
async function requireThere(root: string, found: Import): Promise<string | undefined> {
  const { importer, specifier } = found;
  if (RELATIVE.test(specifier)) {
    const path = await findOwnFile(root, found);
    if (path === undefined) throw await noOwnFile(root, found);
    return path;
  }
  if (!(await isInstalled(root, dirname(importer), specifier))) throw notInstalled(relative(root, importer), specifier);
  return undefined;
}

function isOwnModule(root: string, path: string): boolean {
  return /\.[cm]?js$/.test(path) && !path.slice(root.length).includes(`${sep}node_modules${sep}`);
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
  /** Wherever in the file. */
  readonly required: Import[];
  /** What may not be found when it is asked for, in words. */
  readonly doubtful: string[];
}

async function collect(root: string, module: string): Promise<Collected> {
  const found: Collected = { imports: [], required: [], doubtful: [] };
  await withEsbuild((esbuild) =>
    esbuild.build({
      absWorkingDir: root,
      entryPoints: [module],
      plugins: [collector(root, module, found)],
      ...{ bundle: true, write: false, platform: "node", format: "esm", tsconfigRaw: {}, logLevel: "silent" },
    }),
  ).catch(({ errors = [] }: Partial<BuildFailure>) => {
    // A file that esbuild does not understand is for Node to judge; what was found is true all the same.
    for (const { text, location } of errors)
      if (text.startsWith(UNRESOLVED)) found.doubtful.push(doubt(text.slice(UNRESOLVED.length), location));
  });
  return found;
}

const UNRESOLVED = "Could not resolve ";

function doubt(specifier: string, location: Location | null): string {
  const where = location === null ? "the handler" : `${location.file}:${location.line}`;
  return `${where} asks for ${specifier} when it runs, but there is no such file`;
}

/** Leaves nothing to esbuild, but to complain of the function's own files that are missing: it knows what stands in a `try`. */
function collector(root: string, entry: string, { imports, required }: Collected): Plugin {
  const resolve = async ({ kind, path: specifier, importer }: OnResolveArgs) => {
    if (kind === "entry-point") return { path: entry };
    const external = { path: specifier, external: true };
    const by = kind === "require-call" ? "require" : "import";
    if (kind === "require-call") required.push({ specifier, importer, by });
    if (kind === "import-statement") imports.push({ specifier, importer, by });
    if (kind === "import-statement" || !RELATIVE.test(specifier)) return external;
    return (await findOwnFile(root, { specifier, importer, by })) === undefined ? undefined : external;
  };
  return {
    name: "packages",
    setup(build) {
      build.onResolve({ filter: /.*/ }, resolve);
      build.onLoad({ filter: /.*/ }, async ({ path }) => ({ contents: await readFile(path), loader: "js" }));
    },
  };
}

async function topLevelRequires(module: string): Promise<readonly string[]> {
  const text = await readFile(module, "utf8");
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
