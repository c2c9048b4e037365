/** Makes the npm package: the types of sdk/node, and its programs bundled with what they use of the guest and the contracts. */
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BuildOptions } from "esbuild";
import manifest from "../../package.json" with { type: "json" };

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Entry points by file. The first has nothing to run. */
const TYPES = "index";
const PROGRAMS = ["testing", "client"];
const ENTRIES = [TYPES, ...PROGRAMS];
const execute = promisify(execFile);

/** Writes the package into `folder`, ready for `npm pack` or `npm install <folder>`. */
export async function buildNodeSdk(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, "dist"), { recursive: true });
  await Promise.all([
    writePrograms(join(folder, "dist")),
    writeTypes(join(folder, "dist")),
    writeFile(join(folder, "package.json"), `${JSON.stringify(packageManifest(), undefined, 2)}\n`),
    cp(join(ROOT, "docs/sdk-node.md"), join(folder, "README.md")),
    cp(join(ROOT, "LICENSE"), join(folder, "LICENSE")),
  ]);
}

function packageManifest(): object {
  const entry = (name: string) => ({
    import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
    require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
  });
  const exports = ENTRIES.map((name) => [name === TYPES ? "." : `./${name}`, entry(name)]);
  return {
    name: "@colibri-functions/sdk",
    version: manifest.version,
    description: "Types for functions on Colibri, and a kit that runs them in tests.",
    license: manifest.license,
    type: "module",
    engines: { node: ">=20" },
    exports: { ...Object.fromEntries(exports), "./package.json": "./package.json" },
    files: ["dist"],
    sideEffects: false,
  };
}

async function writePrograms(folder: string): Promise<void> {
  const { build } = await import("esbuild");
  const options: BuildOptions = {
    entryPoints: PROGRAMS.map((name) => join(ROOT, "sdk/node", `${name}.ts`)),
    outdir: folder,
    bundle: true,
    platform: "node",
    target: "node20",
    // A test's fake clock must not stop the guest's.
    inject: [join(ROOT, "guest/node/globals.ts")],
    legalComments: "none",
    logLevel: "silent",
    absWorkingDir: ROOT,
  };
  await writeFile(join(folder, `${TYPES}.js`), "export {};\n");
  await writeFile(join(folder, `${TYPES}.cjs`), "");
  await build({ ...options, format: "esm" });
  await build({
    ...options,
    format: "cjs",
    outExtension: { ".js": ".cjs" },
    define: { "import.meta.url": "moduleUrl" },
    banner: { js: `const moduleUrl = require("node:url").pathToFileURL(__filename).href;` },
  });
}

/** Declarations of the entry points and of what their exports name; nothing outside of sdk/node may be among it. */
async function writeTypes(folder: string): Promise<void> {
  const scratch = await mkdtemp(join(tmpdir(), "colibri-sdk-types-"));
  try {
    await emitTypes(scratch);
    const waiting = new Set(ENTRIES);
    // What is added while it goes on comes in its turn.
    for (const name of waiting) {
      const text = await readFile(join(scratch, "out/sdk/node", `${name}.d.ts`), "utf8");
      for (const path of importsOf(name, text)) waiting.add(path);
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, `${name}.d.ts`), text.replace(RELATIVE, '$1.js"'));
      await writeFile(join(folder, `${name}.d.cts`), text.replace(RELATIVE, '$1.cjs"'));
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

const RELATIVE = /(\bfrom "\.[^"]*)\.ts"/g;

function importsOf(name: string, text: string): string[] {
  const code = text.replace(/\/\*[\s\S]*?\*\//g, "");
  return [...code.matchAll(/\b(?:from|import\()\s*"([^"]+)"/g)].map(([, specifier = ""]) => {
    const path = join(dirname(name), specifier);
    if (specifier.startsWith(".") && !path.startsWith("..")) return path.replace(/\.ts$/, "");
    throw new Error(`the declarations of ${name} need ${specifier}, which is not in the package`);
  });
}

async function emitTypes(scratch: string): Promise<void> {
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: "out",
      rootDir: ROOT,
      typeRoots: [join(ROOT, "node_modules/@types")],
    },
    include: [],
    files: ENTRIES.map((name) => join(ROOT, "sdk/node", `${name}.ts`)),
  };
  await writeFile(join(scratch, "tsconfig.json"), JSON.stringify(config));
  const compiler = join(ROOT, "node_modules/typescript/bin/tsc");
  await execute(process.execPath, [compiler, "-p", scratch]).catch((error: { stdout?: string }) => {
    throw new Error(`the types of the SDK were not written:\n${error.stdout}`, { cause: error });
  });
}

if (import.meta.main) {
  const folder = join(ROOT, "sdk/dist/node");
  await buildNodeSdk(folder);
  console.log(`${folder} is ready: npm pack ${folder}`);
}
