/**
 * Owns: one folder per build under way, the processes in it, and the cache of what builds download. Does not own: sources and
 * bundles (the blobs port), the queue of builds (control).
 *
 * 1. A build's folder is gone when `build` returns or throws; what a crash has left goes at `open`.
 * 2. The same source and configuration give the same bundle, as far as the lock file pins what is installed.
 * 3. Nothing of an uploaded source is run, except for the install scripts that the configuration names.
 */
import { createWriteStream } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Clock } from "#base/clock.ts";
import { fileBytes } from "#base/file-bytes.ts";
import type { Ids } from "#base/ids.ts";
import type { Log } from "#base/log.ts";
import { Reaper } from "#base/reaper.ts";
import { isTypeScript, RUNTIME_FAMILIES, type RuntimeFamily, runtimeFamily } from "#contract/config/handler.ts";
import { PlatformError } from "#contract/errors.ts";
import { isName } from "#contract/names.ts";
import type { Builder as BuilderOfControl, BuildRequest, BuiltBundle } from "#platform/control/deployments/builder.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import { digestStream } from "./archive/digest.ts";
import { ARCHIVE_LIMITS, type ArchiveLimits } from "./archive/limits.ts";
import { packFolder } from "./archive/pack.ts";
import { unpackArchive } from "./archive/unpack.ts";
import { walkFolder } from "./archive/walk.ts";
import { asPlatformError, buildFailed } from "./failure.ts";
import { findHandler } from "./handler-file.ts";
import { createInstalledCache, type InstalledCache, sweepInstalledCache } from "./installed-cache.ts";
import type { Job } from "./job.ts";
import { bundleTypeScript } from "./node/bundle.ts";
import { installNodePackages } from "./node/install.ts";
import { checkPackages } from "./node/packages.ts";
import { checkJavaScript } from "./node/syntax.ts";
import { createOutput } from "./output.ts";
import { checkPython } from "./python/check.ts";
import { checkPythonImports } from "./python/imports.ts";
import { installPythonPackages } from "./python/pip.ts";
import { runTool } from "./run-tool.ts";
import { createSteps, type Steps } from "./steps.ts";
import { type ToolEnvironment, toolEnvironment } from "./tool-environment.ts";

export interface BuilderDeps {
  readonly blobs: Blobs;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly log: Log;
}

export interface BuilderOptions {
  /** For builds and caches alone: what else is in it is removed. */
  readonly folder: string;
  /** The platform's own environment: how tools reach the network is passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly node: {
    readonly program: string;
    /** What installed packages depend on, such as `v24.1.0 linux x64`. */
    readonly version: string;
  };
  readonly npm: readonly string[];
  /** Its version, too, is told with its platform. */
  readonly python: { readonly command: readonly string[]; readonly version: string };
  readonly limits?: BuilderLimits;
}

export interface BuilderLimits {
  /** Of sources, and of bundles. */
  readonly archive: ArchiveLimits;
  readonly maximumMs: number;
  readonly maximumOutputBytes: number;
  /** Installed packages kept of one tenant. */
  readonly maximumCacheBytes: number;
}

export const BUILDER_LIMITS: BuilderLimits = Object.freeze({
  archive: ARCHIVE_LIMITS,
  maximumMs: 600_000,
  maximumOutputBytes: 1024 ** 2,
  maximumCacheBytes: 2 * 1024 ** 3,
});

export interface Builder extends BuilderOfControl {
  open(signal: AbortSignal): Promise<void>;
  /** Aborts what is being built, and waits until nothing is left of it. Works twice. */
  close(): Promise<void>;
}

const CACHE = "cache";

export function createBuilder(deps: BuilderDeps, options: BuilderOptions): Builder {
  return new FolderBuilder(deps, options);
}

class FolderBuilder implements Builder {
  readonly #deps: BuilderDeps;
  readonly #options: BuilderOptions;
  readonly #limits: BuilderLimits;
  readonly #cache: InstalledCache;
  readonly #reaper: Reaper;
  readonly #closing = new AbortController();
  readonly #underWay = new Set<Promise<unknown>>();

  constructor(deps: BuilderDeps, options: BuilderOptions) {
    this.#deps = deps;
    this.#options = options;
    this.#limits = options.limits ?? BUILDER_LIMITS;
    this.#reaper = new Reaper(deps);
    this.#cache = createInstalledCache(deps, { maximumBytes: this.#limits.maximumCacheBytes });
  }

  async open(signal: AbortSignal): Promise<void> {
    const cache = join(this.#options.folder, CACHE);
    await mkdir(cache, { recursive: true });
    for (const name of await readdir(this.#options.folder)) {
      signal.throwIfAborted();
      if (name !== CACHE) await rm(join(this.#options.folder, name), { recursive: true, force: true });
    }
    for (const tenant of await readdir(cache)) await sweepInstalledCache(join(cache, tenant));
  }

  async close(): Promise<void> {
    this.#closing.abort(new PlatformError("unavailable", "The builder is closing: deploy again."));
    await Promise.allSettled(this.#underWay);
  }

  async build(request: BuildRequest, signal: AbortSignal): Promise<BuiltBundle> {
    const late = new AbortController();
    const minutes = this.#limits.maximumMs / 60_000;
    const timer = this.#deps.clock.after(this.#limits.maximumMs, () =>
      late.abort(
        buildFailed(`The build took longer than ${minutes} minutes: install less, or deploy what is built already.`),
      ),
    );
    const building = this.#buildIn(request, AbortSignal.any([signal, late.signal, this.#closing.signal]));
    this.#underWay.add(building);
    try {
      return await building;
    } finally {
      this.#underWay.delete(building);
      this.#deps.clock.cancel(timer);
    }
  }

  async #buildIn(request: BuildRequest, signal: AbortSignal): Promise<BuiltBundle> {
    signal.throwIfAborted();
    const family = requireFamily(request);
    const folder = resolve(this.#options.folder, this.#deps.ids.next());
    const environment = toolEnvironment({ ...this.#options, node: this.#options.node.program }, folder);
    const steps = createSteps(this.#deps.clock, (text) => request.onStep(text));
    const job = this.#jobIn(request, steps, folder, signal);
    try {
      for (const made of [folder, environment.variables.HOME!, environment.variables.TMPDIR!])
        await mkdir(made, { recursive: true });
      await this.#unpack(request, job);
      const file = await findHandler(job.source, request.config.handler, family);
      await this.#prepare(job, environment, family, file);
      signal.throwIfAborted();
      const bundle = await this.#pack(job, folder);
      request.onStep(steps.summary());
      return bundle;
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true, maxRetries: 3 });
    }
  }

  #jobIn(request: BuildRequest, steps: Steps, folder: string, signal: AbortSignal): Job {
    const { tenant, config } = request;
    const { clock } = this.#deps;
    const output = createOutput((line) => request.onOutput(line), this.#limits.maximumOutputBytes);
    return {
      tenant,
      config,
      onStep: steps.begin,
      source: join(folder, "source"),
      scratch: folder,
      cache: join(this.#options.folder, CACHE, tenant),
      signal,
      run: (tool) => runTool(tool, { clock, reaper: this.#reaper, folder, output, signal }),
    };
  }

  async #unpack({ tenant, source }: BuildRequest, job: Job): Promise<void> {
    job.onStep("Unpacking the source");
    const archive = await this.#deps.blobs.get(tenant, source);
    if (archive === undefined)
      throw new PlatformError("not-found", `The source ${source} is not there any more: deploy again.`);
    const { signal } = job;
    const unpacked = await unpackArchive(archive, job.source, { limits: this.#limits.archive, signal });
    if (unpacked.kind === "refused") throw asPlatformError(unpacked, "The source archive can't be unpacked");
  }

  /** Dependencies, then the handler itself. */
  async #prepare(job: Job, environment: ToolEnvironment, family: RuntimeFamily, file: string): Promise<void> {
    const { npm, node, python } = this.#options;
    if (family.name === "python") {
      await checkPython(job, environment, python.command, file);
      const pip = { python: python.command, pythonVersion: python.version };
      await installPythonPackages(job, environment, this.#cache, pip);
      return checkPythonImports(job, environment, python.command, file);
    }
    // Syntax first where it can be had: it takes a moment, and packages may take minutes.
    if (!isTypeScript(file)) await checkJavaScript(job, file);
    await installNodePackages(job, environment, this.#cache, { npm, node });
    if (isTypeScript(file)) await bundleTypeScript(job, file);
    else await checkPackages(job, file);
  }

  async #pack(job: Job, folder: string): Promise<BuiltBundle> {
    job.onStep("Packing the bundle");
    const walked = await walkFolder(job.source, { ignoring: "nothing", limits: this.#limits.archive });
    if (walked.kind === "refused") throw asPlatformError(walked, "The bundle, packages included, can't be packed");
    const path = join(folder, "bundle.tar");
    const stream = digestStream(packFolder(job.source, walked.entries));
    await pipeline(stream, createWriteStream(path, { flags: "wx" }), { signal: job.signal });
    const [digest, bytes] = [stream.digest(), stream.bytes()];
    const put = await this.#deps.blobs.put(job.tenant, digest, fileBytes(path), { maximumBytes: bytes });
    if (put.kind === "stored" || put.kind === "exists") return { digest, bytes };
    throw new PlatformError("internal", `The bundle could not be stored: it changed on the disk (${put.kind}).`);
  }
}

function requireFamily({ tenant, config }: BuildRequest): RuntimeFamily {
  if (!isName(tenant)) throw new PlatformError("request-invalid", `${JSON.stringify(tenant)} is not a tenant.`);
  const family = runtimeFamily(config.runtime);
  if (family !== undefined) return family;
  const names = RUNTIME_FAMILIES.map(({ name }) => name).join(", ");
  throw new PlatformError(
    "runtime-unknown",
    `There is no runtime ${JSON.stringify(config.runtime)}: use one of ${names}.`,
  );
}
