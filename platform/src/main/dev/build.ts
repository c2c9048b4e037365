import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import type { Runtimes } from "#platform/agent/index.ts";
import { createBuilder } from "#platform/builder/builder.ts";
import { createDependencies, type Dependencies, type Tell } from "#platform/dev/index.ts";
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
  return {
    dependencies,
    async open(signal) {
      await blobs.open(signal);
      await builder.open(signal);
    },
    async close() {
      await builder.close();
      await blobs.close();
    },
  };
}
