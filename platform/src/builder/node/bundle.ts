import { readFile, realpath } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import type { BuildFailure, BuildOptions, BuildResult, Plugin } from "esbuild";
import { builtHandler, splitHandler } from "#contract/config/handler.ts";
import { exists } from "../exists.ts";
import { buildFailed } from "../failure.ts";
import type { Job } from "../job.ts";
import { formatMessage, formatMessages, withEsbuild } from "./esbuild-service.ts";
import { requireExport } from "./exports.ts";
import { isInstalled, notInstalled } from "./packages.ts";
import { readTsconfig } from "./tsconfig.ts";

/** An .mjs has no `require`. Where the source calls it, esbuild's helper stands in for it and takes this one. */
export const REQUIRE_HELPER = /^var __require = /m;
export const REQUIRE_SHIM =
  'import { createRequire as colibriCreateRequire } from "node:module"; const require = colibriCreateRequire(import.meta.url);';

/** Bundles a TypeScript handler, with what it imports from the function's folder, into one .mjs beside it. Returns its path. */
export async function bundleTypeScript(job: Job, file: string): Promise<string> {
  const output = builtHandler(file);
  if (await exists(join(job.source, output)))
    throw buildFailed(
      `${file} becomes ${output} when it is built, but there is a ${output} already: remove or rename one.`,
    );
  job.onStep(`Bundling ${file} into ${output}`);
  const root = await realpath(job.source);
  const options = await bundleOptions(root, file, output);
  let result = await build(job, options);
  const text = await readFile(join(root, output), "utf8");
  // Only where it is needed: a source that makes its own `require` would declare the name twice.
  if (REQUIRE_HELPER.test(text)) result = await build(job, { ...options, banner: { js: REQUIRE_SHIM } });
  for (const warning of result.warnings.slice(0, 10)) job.onStep(`Warning: ${formatMessage(warning)}`);
  await checkBundle(root, job.config.handler, result, text);
  return output;
}

/** What becomes of the handler `file` in `root`, a real path. */
export async function bundleOptions(root: string, file: string, output: string): Promise<BuildOptions> {
  return {
    absWorkingDir: root,
    entryPoints: [`./${file}`],
    outfile: output,
    bundle: true,
    platform: "node",
    target: "node24",
    format: "esm",
    packages: "external",
    sourcemap: "linked",
    sourcesContent: false,
    // Given as text: otherwise those of folders above the source would count.
    tsconfigRaw: await readTsconfig(root),
    plugins: [confinedTo(root)],
    logLevel: "silent",
    logLimit: 20,
    metafile: true,
  };
}

async function build(job: Job, options: BuildOptions): Promise<BuildResult> {
  try {
    return await withEsbuild(async (esbuild) => {
      const context = await esbuild.context(options);
      const cancel = () => void context.cancel();
      job.signal.addEventListener("abort", cancel);
      try {
        return await context.rebuild();
      } finally {
        job.signal.removeEventListener("abort", cancel);
        await context.dispose();
      }
    });
  } catch (error) {
    job.signal.throwIfAborted();
    throw asBuildFailed(error);
  }
}

/** What esbuild complains of, for people. */
export function asBuildFailed(error: unknown): unknown {
  const { errors = [] } = error as Partial<BuildFailure>;
  return errors.length === 0 ? error : buildFailed(`The handler could not be bundled:\n${formatMessages(errors)}`);
}

/** Without it `import "/…/token.json"` would put a file of the platform into the bundle. */
function confinedTo(root: string): Plugin {
  return {
    name: "confined",
    setup(build) {
      build.onLoad({ filter: /.*/ }, ({ path }) => {
        if (path.startsWith(root + sep)) return undefined;
        return {
          errors: [{ text: "This file lies outside of the function's folder: move it in, or make it a package." }],
        };
      });
    },
  };
}

/** Refuses what would not load: for want of a package, or of what the handler names. `text` is what was built. */
export async function checkBundle(root: string, handler: string, result: BuildResult, text: string): Promise<void> {
  await checkExternals(root, splitHandler(handler).file, result);
  const exports = Object.values(result.metafile?.outputs ?? {}).flatMap((built) => built.exports);
  requireExport(handler, { exports, text });
}

/** What is imported by name must be there when the function starts. */
async function checkExternals(root: string, file: string, { metafile }: BuildResult): Promise<void> {
  const outputs = Object.values(metafile?.outputs ?? {});
  const statically = outputs.flatMap(({ imports }) => imports.filter(({ kind }) => kind === "import-statement"));
  for (const { path } of statically) {
    if (!(await isInstalled(root, dirname(join(root, file)), path)))
      throw notInstalled(`${file}, or a file it imports,`, path);
  }
}
