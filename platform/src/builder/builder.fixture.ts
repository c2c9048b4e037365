/** For the tests of this folder: a builder of its own, sources to build, and registries to install from. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import { createSilentLog } from "#base/log.ts";
import { isAlive, readStat } from "#base/process-group.ts";
import { createSystemRandom } from "#base/random.ts";
import { CONFIG } from "#contract/api/function-config.fixture.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import type { BuiltBundle } from "#platform/control/deployments/builder.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import { inChunks, tarOf, type Written } from "./archive/archive.fixture.ts";
import { BUILDER_LIMITS, type Builder, type BuilderLimits, createBuilder } from "./builder.ts";

export type Files = Readonly<Record<string, string | Uint8Array>>;
export type Settings = Partial<Pick<FunctionConfig, "runtime" | "handler" | "build">>;

export interface Workshop {
  readonly builder: Builder;
  readonly folder: string;
  readonly steps: string[];
  readonly output: string[];
  build(files: Files, settings?: Settings, signal?: AbortSignal): Promise<BuiltBundle>;
  buildArchive(archive: Uint8Array, settings?: Settings, signal?: AbortSignal): Promise<BuiltBundle>;
  /** Builds what is stored already. */
  buildSource(source: Digest, settings?: Settings, signal?: AbortSignal): Promise<BuiltBundle>;
  /** Files of a bundle, by path. */
  open(bundle: BuiltBundle): Promise<Map<string, string>>;
  /** What lies about between builds: nothing but the cache. */
  leftovers(): Promise<string[]>;
}

export interface WorkshopOptions {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly limits?: Partial<BuilderLimits>;
  readonly npm?: readonly string[];
  readonly python?: readonly string[];
}

const TENANT = "acme";

export async function inWorkshop(
  blobs: Blobs,
  options: WorkshopOptions,
  use: (workshop: Workshop) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "colibri-builder-"));
  const clock = createSystemClock();
  const deps = { blobs, clock, ids: createIds(clock, createSystemRandom()), log: createSilentLog() };
  const builder = createBuilder(deps, {
    folder,
    environment: { PIP_CONFIG_FILE: "/dev/null", ...options.environment },
    node: { program: process.execPath, version: process.version },
    npm: options.npm ?? ["npm"],
    python: { command: options.python ?? ["python3"], version: "3" },
    limits: { ...BUILDER_LIMITS, ...options.limits },
  });
  try {
    await builder.open(new AbortController().signal);
    await use(workshopOf(builder, blobs, folder));
  } finally {
    await builder.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function workshopOf(builder: Builder, blobs: Blobs, folder: string): Workshop {
  const steps: string[] = [];
  const output: string[] = [];
  const workshop: Workshop = {
    builder,
    folder,
    steps,
    output,
    async build(files, settings, signal) {
      const entries = Object.entries(files).map(([name, content]): Written => ({ name, content }));
      return workshop.buildArchive(await tarOf(entries), settings, signal);
    },
    async buildArchive(archive, settings, signal) {
      const source: Digest = `sha256:${createHash("sha256").update(archive).digest("hex")}`;
      await blobs.put(TENANT, source, inChunks(archive), { maximumBytes: archive.byteLength });
      return workshop.buildSource(source, settings, signal);
    },
    buildSource(source, settings, signal = new AbortController().signal) {
      const config = { ...CONFIG, ...settings };
      const told = {
        onStep: (text: string) => void steps.push(text),
        onOutput: (text: string) => void output.push(text),
      };
      return builder.build({ tenant: TENANT, source, config, ...told }, signal);
    },
    open: async ({ digest }) => filesOf((await blobs.get(TENANT, digest))!),
    leftovers: async () => (await readdir(folder)).filter((name) => name !== "cache"),
  };
  return workshop;
}

async function filesOf(bundle: AsyncIterable<Uint8Array>): Promise<Map<string, string>> {
  const tar = Buffer.concat(await Array.fromAsync(bundle));
  const reader = extract();
  reader.end(tar);
  const files = new Map<string, string>();
  for await (const entry of reader) {
    const content = Buffer.concat(await Array.fromAsync(entry as AsyncIterable<Buffer>)).toString("utf8");
    files.set(entry.header.name, entry.header.type === "symlink" ? `-> ${entry.header.linkname}` : content);
  }
  return files;
}

/** What a registry serves, by path; asked counts the requests. */
export interface Registry {
  readonly url: string;
  readonly pages: Map<string, Uint8Array | string>;
  readonly asked: string[];
  /** Paths that are never answered. */
  readonly hanging: Set<string>;
  close(): Promise<void>;
}

export async function startRegistry(): Promise<Registry> {
  const pages = new Map<string, Uint8Array | string>();
  const asked: string[] = [];
  const hanging = new Set<string>();
  const server: Server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (hanging.has(decodeURIComponent(request.url ?? ""))) return;
    const page = pages.get(decodeURIComponent(request.url ?? ""));
    const isText = typeof page === "string";
    const type = isText ? (page.startsWith("{") ? "application/json" : "text/html") : "application/octet-stream";
    response.writeHead(page === undefined ? 404 : 200, { "content-type": type }).end(page ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, pages, asked, hanging, close };
}

/** Publishes an npm package. Returns its entry for a lock file. */
export async function publishNpm(
  registry: Registry,
  name: string,
  files: Files,
  manifest: object = {},
): Promise<object> {
  const packageJson = { name, version: "1.0.0", ...manifest };
  const all: Files = { "package.json": JSON.stringify(packageJson), ...files };
  const tgz = gzipSync(
    await tarOf(Object.entries(all).map(([path, content]) => ({ name: `package/${path}`, content }))),
  );
  const integrity = `sha512-${createHash("sha512").update(tgz).digest("base64")}`;
  const path = `/${name}/-/${name}-1.0.0.tgz`;
  const dist = { tarball: registry.url + path, integrity };
  registry.pages.set(path, tgz);
  const packument = { name, "dist-tags": { latest: "1.0.0" }, versions: { "1.0.0": { ...packageJson, dist } } };
  registry.pages.set(`/${name}`, JSON.stringify(packument));
  const hasInstallScript = "scripts" in manifest ? { hasInstallScript: true } : {};
  return { version: "1.0.0", resolved: dist.tarball, integrity, ...hasInstallScript };
}

/** package.json and package-lock.json of a function with these dependencies. */
export function locked(packages: Readonly<Record<string, object>>): Files {
  const dependencies = Object.fromEntries(Object.keys(packages).map((name) => [name, "1.0.0"]));
  const manifest = { name: "f", version: "1.0.0", dependencies };
  const installed = Object.entries(packages).map(([name, entry]) => [`node_modules/${name}`, entry]);
  const lock = {
    name: "f",
    version: "1.0.0",
    lockfileVersion: 3,
    requires: true,
    packages: { "": manifest, ...Object.fromEntries(installed) },
  };
  return { "package.json": JSON.stringify(manifest), "package-lock.json": JSON.stringify(lock) };
}

const WHEEL = `
import sys, zipfile
name, path, code, tag, *needed = sys.argv[1:]
info = name + "-1.0.dist-info"
with zipfile.ZipFile(path, "w") as wheel:
    wheel.writestr(name + "/__init__.py", code)
    wheel.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: " + name + "\\nVersion: 1.0\\n" + "".join("Requires-Dist: " + each + "\\n" for each in needed))
    wheel.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: " + tag + "\\n")
    wheel.writestr(info + "/RECORD", "")
`;

/** Publishes a Python package as a wheel. Returns its hash. */
export async function publishWheel(
  registry: Registry,
  name: string,
  code: string,
  tag = "py3-none-any",
  needed: readonly string[] = [],
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "colibri-wheel-"));
  try {
    const path = join(folder, `${name}.whl`);
    await promisify(execFile)("python3", ["-c", WHEEL, name, path, code, tag, ...needed]);
    return publishFile(registry, name, `${name}-1.0-${tag}.whl`, await readFile(path));
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Publishes a Python package as source whose setup.py leaves `mark` when it runs. */
export async function publishSource(registry: Registry, name: string, mark: string): Promise<string> {
  const setup = `from setuptools import setup\nopen(${JSON.stringify(mark)}, "w").close()\nsetup(name=${JSON.stringify(name)}, version="1.0", py_modules=[])\n`;
  const info = `Metadata-Version: 1.0\nName: ${name}\nVersion: 1.0\n`;
  const root = `${name}-1.0`;
  const tgz = gzipSync(
    await tarOf([
      { name: `${root}/setup.py`, content: setup },
      { name: `${root}/PKG-INFO`, content: info },
    ]),
  );
  return publishFile(registry, name, `${root}.tar.gz`, tgz);
}

/** Publishes a Python package as source with a build backend of its own, which needs no other package; `code` runs when it builds. */
export async function publishBackend(registry: Registry, name: string, code: string): Promise<string> {
  const root = `${name}-1.0`;
  const project = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n';
  const backend = `
import os, zipfile
def build_wheel(folder, config_settings=None, metadata_directory=None):
${code.replace(/^/gm, "    ")}
    wheel = "${root}-py3-none-any.whl"
    info = "${root}.dist-info/"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as file:
        file.writestr("${name}.so", "ELF")
        file.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: ${name}\\nVersion: 1.0\\n")
        file.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        file.writestr(info + "RECORD", "")
    return wheel
`;
  const info = `Metadata-Version: 1.0\nName: ${name}\nVersion: 1.0\n`;
  const files = { "pyproject.toml": project, "backend.py": backend, "PKG-INFO": info };
  const tar = await tarOf(Object.entries(files).map(([path, content]) => ({ name: `${root}/${path}`, content })));
  return publishFile(registry, name, `${root}.tar.gz`, gzipSync(tar));
}

function publishFile(registry: Registry, name: string, file: string, bytes: Uint8Array): string {
  const hash = createHash("sha256").update(bytes).digest("hex");
  registry.pages.set(`/files/${file}`, bytes);
  registry.pages.set(
    `/simple/${name}/`,
    `<html><body><a href="${registry.url}/files/${file}#sha256=${hash}">${file}</a></body></html>`,
  );
  return hash;
}

/** Resolves when the process has ended; whether its parent has heard of it does not matter. */
export async function gone(pid: number): Promise<void> {
  for (let tries = 0; tries < 300; tries++) {
    const stat = readStat(pid);
    if (stat === undefined || !isAlive(stat)) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`process ${pid} is still there`);
}
