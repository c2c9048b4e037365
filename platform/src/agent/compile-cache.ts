import { execFile } from "node:child_process";
import { lstat, mkdir, readdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Log } from "#base/log.ts";

/** In a bundle's folder. The guest knows it by the same name (guest/node/compiled.ts). */
export const COMPILE_CACHE = ".colibri-compiled";

export interface CompileCacheOptions {
  /** The Node that runs guests: what another version compiled, it does not take. */
  readonly node: string;
  /** Of guests. Node keeps a folder per user, and guests may run as another one than this process. */
  readonly guestUid: number;
  /** Bundles with less in their modules start as fast without. */
  readonly minimumBytes?: number;
}

export interface CompileCache {
  /**
   * Compiles the modules of an unpacked bundle that is nobody's yet. Nothing when that can't be done, or the signal aborts.
   * @returns bytes it takes.
   */
  make(folder: string, signal: AbortSignal): Promise<number>;
  /** What an archive brings under our name was not made by us. */
  clear(folder: string): Promise<void>;
}

const MINIMUM_BYTES = 256 * 1024;
const MODULES = 16;
const MODULE = /\.m?js$/;
const PATIENCE_MS = 10_000;
const HEAP_MIB = 256;

/**
 * Modules are linked, and thereby compiled, before the first of them runs; and the first of these fails. So no code of the bundle
 * runs: what is written comes from its sources and V8 alone.
 */
const COMPILE = `
import { enableCompileCache, flushCompileCache } from "node:module";
const [folder, ...modules] = process.argv.slice(1);
enableCompileCache({ directory: folder, portable: true });
const text = (code) => "data:text/javascript," + encodeURIComponent(code);
const stop = "import " + JSON.stringify(text("throw 0")) + ";";
for (const url of modules)
  await import(text(stop + "import " + JSON.stringify(url) + ";")).catch(() => {});
flushCompileCache();
`;

/**
 * Compiled code beside the sources of a Node bundle (docs/decisions/0010).
 * The compiler is a process that may read the bundle, write the cache, and nothing else: no other file, process or add-on.
 */
export function createCompileCache(deps: { readonly log: Log }, options: CompileCacheOptions): CompileCache {
  const minimumBytes = options.minimumBytes ?? MINIMUM_BYTES;
  const clear = (folder: string) => rm(join(folder, COMPILE_CACHE), { recursive: true, force: true });

  async function make(folder: string, signal: AbortSignal): Promise<number> {
    const modules = await modulesOf(folder);
    if (modules.reduce((sum, { bytes }) => sum + bytes, 0) < minimumBytes || signal.aborted) return 0;
    const cache = join(folder, COMPILE_CACHE);
    try {
      await mkdir(cache);
      const urls = modules.map(({ name }) => pathToFileURL(join(folder, name)).href);
      await compile(options.node, folder, cache, urls, signal);
      return await finish(cache, options.guestUid);
    } catch (error) {
      await clear(folder);
      if (!signal.aborted) deps.log.warn("a bundle could not be compiled ahead: it works without", { folder, error });
      return 0;
    }
  }

  return { make, clear };
}

/** Those a handler can be: at the root. What they import is compiled with them. */
async function modulesOf(folder: string): Promise<{ name: string; bytes: number }[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isFile() && MODULE.test(entry.name)).map((entry) => entry.name);
  return Promise.all(
    names.slice(0, MODULES).map(async (name) => ({ name, bytes: (await lstat(join(folder, name))).size })),
  );
}

function compile(
  node: string,
  folder: string,
  cache: string,
  urls: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const walls = ["--permission", `--allow-fs-read=${folder}`, `--allow-fs-write=${cache}`];
  const flags = [...walls, `--max-old-space-size=${HEAP_MIB}`, "--no-warnings", "--input-type=module"];
  const limits = { cwd: folder, env: {}, signal, timeout: PATIENCE_MS, killSignal: "SIGKILL" } as const;
  return new Promise((resolve, reject) => {
    execFile(node, [...flags, "--eval", COMPILE, cache, ...urls], limits, (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

/** Node's folder ends in the user's number; the guest's is another name of it. */
async function finish(cache: string, guestUid: number): Promise<number> {
  const [made] = await readdir(cache);
  if (made === undefined) throw new Error("Node has written nothing");
  const guests = made.replace(/-\d+$/, `-${guestUid}`);
  if (guests !== made) await symlink(made, join(cache, guests));
  const files = await readdir(join(cache, made));
  const sizes = await Promise.all(files.map(async (name) => (await lstat(join(cache, made, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}
