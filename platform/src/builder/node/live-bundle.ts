import { mkdir, readFile, realpath } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import type { BuildContext, BuildOptions, BuildResult } from "esbuild";
import { builtHandler, splitHandler } from "#contract/config/handler.ts";
import { asBuildFailed, bundleOptions, checkBundle, REQUIRE_HELPER, REQUIRE_SHIM } from "./bundle.ts";
import { formatMessage, withEsbuild } from "./esbuild-service.ts";

export interface LiveBundle {
  /** The built one, relative to the source. */
  readonly handler: string;
  /** Builds what has changed since, in a few milliseconds. Returns warnings. @throws PlatformError `build-failed` */
  build(): Promise<readonly string[]>;
  close(): Promise<void>;
}

export interface LiveBundleOptions {
  /** The function's folder. */
  readonly source: string;
  /** Of the source: a TypeScript file, perhaps with an export. */
  readonly handler: string;
  /** Folder below the source that is ours: packages are found from there, since they lie above it. */
  readonly output: string;
}

/**
 * A TypeScript handler that is built again and again, apart from its source but below it. To the code it is where a bundle has
 * it: `import.meta` names the place beside the source.
 *
 * Owns: a context of esbuild, which remembers what has not changed, until the options change.
 */
export function createLiveBundle(options: LiveBundleOptions): LiveBundle {
  const { file } = splitHandler(options.handler);
  const built = join(options.output, builtHandler(file));
  let context: KeptContext | undefined;
  let banner: BuildOptions = {};

  async function rebuild(root: string): Promise<{ result: BuildResult; text: string }> {
    const wanted = { ...(await bundleOptions(root, file, built)), ...banner, define: importMeta(root, file) };
    if (context !== undefined && context.key !== keyOf(wanted)) {
      await context.dispose();
      context = undefined;
    }
    try {
      context ??= await keepContext(wanted);
      const result = await context.rebuild();
      return { result, text: await readFile(join(root, built), "utf8") };
    } catch (error) {
      throw asBuildFailed(error);
    }
  }

  return {
    handler: built + options.handler.slice(file.length),
    async build() {
      const root = await realpath(options.source);
      await mkdir(dirname(join(root, built)), { recursive: true });
      let { result, text } = await rebuild(root);
      if (banner.banner === undefined && REQUIRE_HELPER.test(text)) {
        banner = { banner: { js: REQUIRE_SHIM } };
        ({ result, text } = await rebuild(root));
      }
      await checkBundle(root, options.handler, result, text);
      return result.warnings.slice(0, 10).map(formatMessage);
    },
    async close() {
      await context?.dispose();
      context = undefined;
    },
  };
}

interface KeptContext extends Pick<BuildContext, "rebuild" | "dispose"> {
  readonly key: string;
}

/** A context, and with it a use of esbuild's process, until it is disposed of. */
async function keepContext(options: BuildOptions): Promise<KeptContext> {
  const made = Promise.withResolvers<BuildContext>();
  const released = Promise.withResolvers<void>();
  const used = withEsbuild(async (esbuild) => {
    const context = await esbuild.context(options);
    made.resolve(context);
    await released.promise;
    await context.dispose();
  });
  used.catch(made.reject);
  const context = await made.promise;
  return {
    key: keyOf(options),
    rebuild: () => context.rebuild(),
    async dispose() {
      released.resolve();
      await used;
    },
  };
}

/** Plugins are functions, and always the same. */
function keyOf(options: BuildOptions): string {
  return JSON.stringify({ ...options, plugins: [] });
}

/** As it will be in a bundle, where the built file lies beside its source. */
function importMeta(root: string, file: string): Record<string, string> {
  const path = join(root, builtHandler(file));
  return {
    "import.meta.url": JSON.stringify(pathToFileURL(path).href),
    "import.meta.filename": JSON.stringify(path),
    "import.meta.dirname": JSON.stringify(dirname(path)),
  };
}
