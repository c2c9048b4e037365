import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createSystemClock } from "#base/clock.ts";
import { createSilentLog } from "#base/log.ts";
import type { Digest } from "#contract/digest.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { type BundleCache, createBundleCache, createCompileCache } from "#platform/agent/index.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { HERE } from "./lib/checkout.ts";
import type { Row } from "./lib/report.ts";
import { quantile, run } from "./lib/tools.ts";

const MIB = 2 ** 20;
const TENANT = "default";
/** As runtimes.ts starts guests. */
const GUEST_FLAGS = ["--max-old-space-size=128", "--max-semi-space-size=8"];
/** Packages that are here anyway, bundled as a function of that size would be. */
const FASTIFY = `import fastify from "fastify"; export const all = [fastify];`;
const MANY = `import fastify from "fastify";
import * as kysely from "kysely";
import * as typebox from "typebox";
import * as compile from "typebox/compile";
import * as value from "typebox/value";
import * as yaml from "yaml";
export const all = [fastify, kysely, typebox, compile, value, yaml];`;
const HANDLERS = [
  { name: "fastify", source: FASTIFY, copies: 1, minify: true },
  { name: "fastify, not minified", source: FASTIFY, copies: 1, minify: false },
  { name: "many packages, twice, not minified", source: MANY, copies: 2, minify: false },
];
const LOAD = `
import { enableCompileCache, setSourceMapsSupport } from "node:module";
const [url, folder] = process.argv.slice(1);
if (folder) enableCompileCache({ directory: folder, portable: true });
setSourceMapsSupport(true);
const begun = performance.now();
await import(url);
console.log(performance.now() - begun);
`;

/** The bundle cache on this disk: what is there, what must be fetched, and loading with and without compiled code, in alternation. */
export async function benchBundles({ samples }: { readonly samples: number }): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "colibri-bench-bundles-"));
  try {
    const rows = await benchCache(folder, samples);
    for (const handler of HANDLERS) rows.push(...(await benchCompiled(join(folder, handler.name), handler, samples)));
    return rows;
  } finally {
    await run("chmod", ["-R", "u+w", folder]);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function benchCache(folder: string, samples: number): Promise<Row[]> {
  const blobs = createFilesystemBlobs({ root: join(folder, "blobs") });
  await blobs.open(new AbortController().signal);
  const put = async (files: number, bytes: number, mark: number) => {
    const tar = await tarOf(join(folder, "source"), files, bytes, mark);
    const digest: Digest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
    await blobs.put(TENANT, digest, [tar] as never, { maximumBytes: 1_024 * MIB });
    return digest;
  };
  // Nothing stays that nobody holds: every second hold is a miss.
  const cacheOf = async (name: string, maximumBytes: number) => {
    const deps = { blobs, unpack: unpackArchive, clock: createSystemClock(), log: createSilentLog() };
    const cache = createBundleCache(deps, { folder: join(folder, name), maximumBytes });
    await cache.open(new AbortController().signal);
    return cache;
  };
  const [one, many] = [await put(1, MIB, 0), await put(1_000, 10 * 1_024, 1)];
  const [kept, dropped] = [await cacheOf("kept", 1_024 * MIB), await cacheOf("dropped", 0)];
  const hits = await holds(kept, one, samples * 20);
  const misses = await holds(dropped, one, samples);
  const files = await holds(dropped, many, Math.max(3, Math.floor(samples / 5)));
  await blobs.close();
  return [
    row("hit", hits),
    row("miss, 1 MiB in one file", misses),
    row("miss, 10 MiB in 1,000 files", files, {
      "MiB/s": ((10_000 / 1_024 / quantile(files, 0.5)) * 1_000).toFixed(0),
    }),
  ];
}

async function holds(cache: BundleCache, digest: Digest, samples: number): Promise<number[]> {
  const taken: number[] = [];
  for (let sample = 0; sample <= samples; sample++) {
    const begun = performance.now();
    const held = await cache.hold(TENANT, digest);
    taken.push(performance.now() - begun);
    held.release();
  }
  return taken.slice(1).sort((a, b) => a - b);
}

async function tarOf(folder: string, files: number, bytes: number, mark: number): Promise<Buffer> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  for (let file = 0; file < files; file++)
    writeFileSync(join(folder, `file-${file}.mjs`), `${mark}`.padEnd(bytes, "x"));
  await run("tar", ["--format=ustar", "-cf", `${folder}.tar`, "-C", folder, "."]);
  return readFileSync(`${folder}.tar`);
}

async function benchCompiled(folder: string, handler: (typeof HANDLERS)[number], samples: number): Promise<Row[]> {
  const bundle = join(folder, "bundle");
  const bytes = await bundleHandler(folder, handler);
  const compiler = createCompileCache(
    { log: createSilentLog() },
    { node: process.execPath, guestUid: 0, minimumBytes: 0 },
  );
  const begun = performance.now();
  const cacheBytes = await compiler.make(bundle, new AbortController().signal);
  const made = performance.now() - begun;
  const cache = join(bundle, ".colibri-compiled");
  const times: Record<"off" | "on", number[]> = { off: [], on: [] };
  for (let sample = 0; sample < samples; sample++) {
    times.off.push(load(bundle));
    times.on.push(load(bundle, cache));
  }
  const label = `load ${(bytes / MIB).toFixed(1)} MiB, ${handler.name}`;
  for (const taken of Object.values(times)) taken.sort((a, b) => a - b);
  return [
    row(label, times.off),
    row(`${label}, compiled`, times.on, {
      "made in ms": made.toFixed(0),
      "cache KiB": (cacheBytes / 1_024).toFixed(0),
    }),
  ];
}

function load(bundle: string, cache = ""): number {
  const args = [
    ...GUEST_FLAGS,
    "--input-type=module",
    "--eval",
    LOAD,
    pathToFileURL(join(bundle, "index.mjs")).href,
    cache,
  ];
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: {} });
  if (!(Number(stdout) > 0)) throw new Error(`the handler did not load: ${stderr}`);
  return Number(stdout);
}

async function bundleHandler(folder: string, { source, copies, minify }: (typeof HANDLERS)[number]): Promise<number> {
  const imports: string[] = [];
  for (let copy = 0; copy < copies; copy++) {
    const own = join(folder, `copy-${copy}`);
    mkdirSync(own, { recursive: true });
    symlinkSync(join(HERE, "node_modules"), join(own, "node_modules"));
    writeFileSync(join(own, "index.mjs"), source);
    imports.push(`import { all as all${copy} } from "./copy-${copy}/index.mjs";`);
  }
  const all = imports.map((_, copy) => `all${copy}`).join(", ");
  writeFileSync(join(folder, "entry.mjs"), `${imports.join("\n")}\nexport default () => [${all}].length;\n`);
  const out = join(folder, "bundle", "index.mjs");
  const banner = `import{createRequire}from"node:module";const require=createRequire(import.meta.url);`;
  // With links kept, each copy of a package is another one.
  const flags = [
    "--bundle",
    "--platform=node",
    "--format=esm",
    "--target=node24",
    "--preserve-symlinks",
    "--log-level=error",
  ];
  if (minify) flags.push("--minify");
  const esbuild = join(HERE, "node_modules", "esbuild", "bin", "esbuild");
  await run(esbuild, [join(folder, "entry.mjs"), ...flags, `--banner:js=${banner}`, `--outfile=${out}`]);
  return readFileSync(out).byteLength;
}

function row(what: string, sorted: readonly number[], more: Row = {}): Row {
  const at = (q: number) => quantile(sorted, q).toPrecision(3);
  return { bench: "bundles", what, samples: sorted.length, "p50 ms": at(0.5), "p90 ms": at(0.9), ...more };
}
