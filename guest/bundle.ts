import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Paths of the guests' files, ready to be run; a language the machine lacks has none. */
export interface BundledGuests {
  /** `node <path>` */
  readonly nodejs: string;
  /** `python3 <path>` */
  readonly python: string | undefined;
}

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const NODE_SOURCES = ["guest/node", "contract"];
const PYTHON_PACKAGE = "guest/python/colibri_guest";
const PYTHON_MAIN = "from colibri_guest import __main__\n";
/** Modules are stored compiled, so that nothing is compiled when a guest starts, and under names that say nothing of this machine. */
const PACK = `
import os, py_compile, sys, tempfile, zipfile
target, package, main = sys.argv[1:4]
parent = os.path.dirname(package)
with open(target, "wb") as file, tempfile.TemporaryDirectory() as scratch:
    file.write(b"#!/usr/bin/env python3\\n")
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr("__main__.py", main)
        for folder, _, names in sorted(os.walk(package)):
            for name in sorted(names):
                if not name.endswith(".py") or name.endswith("_test.py"):
                    continue
                source = os.path.join(folder, name)
                inside = os.path.relpath(source, parent)
                compiled = os.path.join(scratch, "module.pyc")
                py_compile.compile(source, compiled, inside, True,
                                   invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
                archive.write(compiled, inside + "c")
`;
const execute = promisify(execFile);

/**
 * Makes each guest one file in `outFolder`, named by its sources' digest: made again only when they changed. Several processes
 * may do so at once.
 */
export async function bundleGuests(outFolder: string): Promise<BundledGuests> {
  await mkdir(outFolder, { recursive: true });
  const [nodejs, python] = await Promise.all([bundleNode(outFolder), bundlePython(outFolder)]);
  return { nodejs, python };
}

async function bundleNode(outFolder: string): Promise<string> {
  const digest = await digestOf(NODE_SOURCES, ".ts", esbuildVersion());
  return once(outFolder, "nodejs-guest", digest, ".mjs", async (target) => {
    const options = [
      ...[
        "--bundle",
        "--platform=node",
        "--format=esm",
        "--target=node24",
        "--legal-comments=none",
        "--log-level=error",
      ],
      `--inject:${join(ROOT, "guest/node/globals.ts")}`,
      `--outfile=${target}`,
    ];
    // The program itself: the process that serves esbuild's API would stay with its caller, and take 20 MiB.
    await execute(esbuildProgram(), [join(ROOT, "guest/node/main.ts"), ...options], { cwd: ROOT });
  });
}

function esbuildVersion(): string {
  return createRequire(import.meta.url)("esbuild/package.json").version;
}

function esbuildProgram(): string {
  const { resolve } = createRequire(createRequire(import.meta.url).resolve("esbuild"));
  return resolve(`@esbuild/${process.platform}-${process.arch}/bin/esbuild`);
}

async function bundlePython(outFolder: string): Promise<string | undefined> {
  if (!existsSync(join(ROOT, PYTHON_PACKAGE, "__main__.py"))) return undefined;
  const version = await pythonVersion();
  if (version === undefined) return undefined;
  const digest = await digestOf([PYTHON_PACKAGE], ".py", `${version}${PACK}${PYTHON_MAIN}`);
  return once(outFolder, "python-guest", digest, ".pyz", async (target) => {
    await execute("python3", ["-c", PACK, target, join(ROOT, PYTHON_PACKAGE), PYTHON_MAIN]);
  });
}

/** Compiled files fit one version only. */
async function pythonVersion(): Promise<string | undefined> {
  try {
    return (await execute("python3", ["--version"])).stdout.trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Makes `<name>-<digest><extension>` aside and moves it into place. */
async function once(
  folder: string,
  name: string,
  digest: string,
  extension: string,
  make: (target: string) => Promise<void>,
): Promise<string> {
  const path = join(folder, `${name}-${digest}${extension}`);
  if (existsSync(path)) return path;
  const aside = join(folder, `.${name}-${process.pid}-${performance.now()}${extension}`);
  try {
    await make(aside);
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
  return path;
}

async function digestOf(folders: readonly string[], extension: string, more: string): Promise<string> {
  const hash = createHash("sha256").update(more);
  for (const folder of folders)
    for (const path of await sourcesIn(join(ROOT, folder), extension))
      hash
        .update(`${path.slice(ROOT.length)}\n`)
        .update(await readFile(path))
        .update("\n");
  return hash.digest("hex").slice(0, 16);
}

async function sourcesIn(folder: string, extension: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(extension) && !entry.name.endsWith(`.test${extension}`))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}
