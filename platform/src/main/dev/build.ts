import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import type { Runtimes } from "#platform/agent/index.ts";
import { createBuilder } from "#platform/builder/builder.ts";
import { findHandler } from "#platform/builder/handler-file.ts";
import { withEsbuild } from "#platform/builder/node/esbuild-service.ts";
import { createLiveBundle } from "#platform/builder/node/live-bundle.ts";
import { checkPackages } from "#platform/builder/node/packages.ts";
import { type CodeSteps, createDependencies, type Dependencies, type Tell } from "#platform/dev/index.ts";
import { builderOptions } from "../builder-options.ts";
import type { HomePaths } from "../home.ts";
import type { DevBase } from "./front.ts";

export interface DevBuildOptions {
  readonly paths: HomePaths;
  readonly runtimes: Runtimes;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly tell: Tell;
}

export interface DevBuild {
  readonly dependencies: Dependencies;
  readonly steps: CodeSteps;
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

/** The builder of a platform, for what a function's folder lacks. */
export function createDevBuild(base: DevBase, options: DevBuildOptions): DevBuild {
  const { paths, runtimes, environment, tell } = options;
  const blobs = createFilesystemBlobs({ root: paths.blobs, readOnly: false });
  const builder = createBuilder({ ...base, blobs }, builderOptions(paths.build, runtimes));
  const python = runtimes.list().find(({ name }) => name === "python");
  const dependencies = createDependencies(
    { builder, blobs, ids: base.ids, note: (fn, text) => tell({ kind: "note", function: fn, text }) },
    {
      scratch: `${paths.home}/installed`,
      python: python && { program: python.command[0] ?? "python3", version: python.version },
      virtualEnv: environment.VIRTUAL_ENV || undefined,
    },
  );
  const closing = Promise.withResolvers<void>();
  let kept: Promise<void> | undefined;
  const steps: CodeSteps = {
    ...{ findHandler, createLiveBundle },
    checkPackages(job, file) {
      // Its process takes longer to start than a save may take.
      kept ??= withEsbuild(() => closing.promise);
      return checkPackages(job, file);
    },
  };
  return {
    dependencies,
    steps,
    async open(signal) {
      await blobs.open(signal);
      await builder.open(signal);
    },
    async close() {
      closing.resolve();
      await kept;
      await builder.close();
      await blobs.close();
    },
  };
}
