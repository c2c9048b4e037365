import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { AppFunction } from "#contract/config/app-config.ts";
import { isTypeScript, type RuntimeFamily, runtimeFamily, splitHandler } from "#contract/config/handler.ts";
import { type Failure, PlatformError, toFailure } from "#contract/errors.ts";
import { runtimeProblem } from "#domain/function/runtime.ts";
import type { findHandler } from "#platform/builder/handler-file.ts";
import type { createLiveBundle, LiveBundle } from "#platform/builder/node/live-bundle.ts";
import type { checkPackages } from "#platform/builder/node/packages.ts";
import { DEV_FOLDER, type Dependencies, ownFolder } from "./dependencies.ts";
import type { Inspection } from "./inspect.ts";
import type { DevCode } from "./revisions.ts";
import type { DevRuntimes, LaunchChange } from "./runtimes.ts";

/** What a build does with code, a step at a time. */
export interface CodeSteps {
  readonly findHandler: typeof findHandler;
  readonly checkPackages: typeof checkPackages;
  readonly createLiveBundle: typeof createLiveBundle;
}

export interface DevSourceDeps {
  readonly steps: CodeSteps;
  readonly runtimes: DevRuntimes;
  readonly dependencies: Dependencies;
  readonly inspection: Inspection | undefined;
  readonly warn: (fn: string, text: string) => void;
}

export interface DevSourceOptions {
  /** Absolute. */
  readonly folder: string;
  /** Of this run: what is built lies in `.colibri-dev/<home>`. */
  readonly home: string;
  /** Of runs that still go on. */
  readonly homes: () => ReadonlySet<string>;
}

/**
 * The code of one function as it is on the disk now, ready to be mounted into a sandbox.
 *
 * Owns: what it has built below the source. The source itself is the bundle, so that a debugger finds the files that its user has
 * open.
 */
export class DevSource {
  readonly #deps: DevSourceDeps;
  readonly #options: DevSourceOptions;
  readonly #name: string;
  #live: { readonly handler: string; readonly bundle: LiveBundle } | undefined;
  #told = new Set<string>();

  constructor(deps: DevSourceDeps, name: string, options: DevSourceOptions) {
    this.#deps = deps;
    this.#name = name;
    this.#options = options;
  }

  /** Never rejects, except for the reason of `signal`: what is wrong with the code is an answer. */
  async prepare(fn: AppFunction, signal: AbortSignal): Promise<DevCode> {
    try {
      const family = this.#familyOf(fn.config);
      const { folder } = this.#options;
      const { steps, runtimes } = this.#deps;
      checkFolder(this.#name, folder);
      const file = await steps.findHandler(folder, fn.config.handler, family);
      const change = await this.#launchOf(family, fn.config, signal);
      const runtime = runtimes.name(family.name, this.#name, change);
      if (!isTypeScript(file)) this.#warnOfModuleType(file);
      if (family.name === "nodejs" && !isTypeScript(file)) await steps.checkPackages({ source: folder }, file);
      const handler = isTypeScript(file) ? await this.#build(fn.config.handler) : fn.config.handler;
      return { kind: "code", folder, handler, runtime };
    } catch (error) {
      signal.throwIfAborted();
      return { kind: "broken", failure: failureOf(error) };
    }
  }

  async close(): Promise<void> {
    await this.#live?.bundle.close();
    this.#live = undefined;
    const own = join(this.#options.folder, DEV_FOLDER);
    if (!existsSync(own)) return;
    const mine = join(own, this.#options.home);
    rmSync(join(mine, this.#name), { recursive: true, force: true });
    // Other functions may have the same source.
    if (existsSync(mine) && readdirSync(mine).length === 0) rmSync(mine, { recursive: true });
    const homes = this.#options.homes();
    for (const name of readdirSync(own)) {
      // What a run that was killed has left. Packages stay, as node_modules would.
      if (!name.startsWith(".") && !name.startsWith("packages-") && !homes.has(name))
        rmSync(join(own, name), { recursive: true });
    }
    if (readdirSync(own).every((name) => name === ".gitignore")) rmSync(own, { recursive: true });
  }

  #familyOf(config: FunctionConfig): RuntimeFamily {
    const known = this.#deps.runtimes
      .list()
      .map(({ name, version }) => ({ name, version, available: true, detail: "" }));
    const problem = runtimeProblem(config.runtime, known);
    const family = runtimeFamily(config.runtime);
    if (problem !== undefined || family === undefined)
      throw new PlatformError("runtime-unknown", problem ?? config.runtime);
    return family;
  }

  async #launchOf(family: RuntimeFamily, config: FunctionConfig, signal: AbortSignal): Promise<LaunchChange> {
    const { dependencies, inspection } = this.#deps;
    const { folder: source } = this.#options;
    const fn = { name: this.#name, source, config };
    if (family.name === "nodejs") {
      const packages = await dependencies.nodejs(fn, signal);
      return inspection === undefined ? packages : merge(packages, await inspection.nodejs(this.#name, source));
    }
    const packages = await dependencies.python(fn, signal);
    if (inspection === undefined) return packages;
    const program = packages.program ?? this.#programOf(family);
    const problem = await inspection.debugpyProblem(program, packages.environment ?? {});
    if (problem === undefined) return merge(packages, await inspection.python(this.#name, config.handler));
    this.#warnOnce(problem);
    return packages;
  }

  #programOf(family: RuntimeFamily): string {
    return this.#deps.runtimes.get(family.name)?.command[0] ?? family.name;
  }

  /** Returns the handler that was built. */
  async #build(handler: string): Promise<string> {
    if (this.#live?.handler !== handler) {
      await this.#live?.bundle.close();
      ownFolder(this.#options.folder);
      const output = join(DEV_FOLDER, this.#options.home, this.#name);
      this.#live = {
        handler,
        bundle: this.#deps.steps.createLiveBundle({ source: this.#options.folder, handler, output }),
      };
    }
    for (const warning of await this.#live.bundle.build()) this.#deps.warn(this.#name, warning);
    return this.#live.bundle.handler;
  }

  /** A bundle holds the function's folder alone: what a package.json above it says of .js files is not known there. */
  #warnOfModuleType(file: string): void {
    if (!splitHandler(file).file.endsWith(".js")) return;
    const { folder } = this.#options;
    if (existsSync(join(folder, "package.json"))) return;
    for (let above = dirname(folder); above !== dirname(above); above = dirname(above)) {
      if (!existsSync(join(above, "package.json"))) continue;
      const text = `${join(above, "package.json")} says here what ${file} is, but is not part of a deployment: put one beside ${file}, or call it .mjs or .cjs`;
      return this.#warnOnce(text);
    }
  }

  #warnOnce(text: string): void {
    if (this.#told.has(text)) return;
    this.#told.add(text);
    this.#deps.warn(this.#name, text);
  }
}

/** @throws PlatformError */
function checkFolder(fn: string, folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory()) return;
  throw new PlatformError(
    "build-failed",
    `The folder of the function ${fn} is not there: ${folder}. Put it back, or correct the function's source in colibri.yaml; it is looked for all the time.`,
  );
}

/** What the system refuses of files is for the user to mend, whose they are: as such it is told to callers at once. */
function failureOf(error: unknown): Failure {
  const { syscall, code, path } = error as NodeJS.ErrnoException;
  // Only of a file that is open already no path is told.
  const isOfFile = path !== undefined || syscall === "read";
  if (error instanceof PlatformError || syscall === undefined || !isOfFile) return toFailure(error);
  return { code: "build-failed", message: `${path ?? "A file of the function"} can't be used (${syscall}: ${code}).` };
}

function merge(one: LaunchChange, other: LaunchChange): LaunchChange {
  return { ...one, ...other, environment: { ...one.environment, ...other.environment } };
}
