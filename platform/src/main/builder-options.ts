import { findRuntimes, type Runtimes } from "#platform/agent/index.ts";
import type { BuilderOptions } from "#platform/builder/builder.ts";

/** The runtimes of this host by name and version, for who starts no guests. */
export function findRuntimesHere(): Promise<Runtimes> {
  const node = { path: process.execPath, version: process.versions.node };
  return findRuntimes({ guests: { nodejs: "", python: "" }, node, searchPath: process.env.PATH ?? "" });
}

/** How builds are done on this host: whoever builds, the same source becomes the same bundle. */
export function builderOptions(folder: string, runtimes: Runtimes): BuilderOptions {
  const python = runtimes.list().find(({ name }) => name === "python");
  const platform = `${process.platform} ${process.arch}`;
  return {
    folder,
    environment: process.env,
    node: { program: process.execPath, version: `${process.version} ${platform}` },
    npm: ["npm"],
    python: { command: python?.command.slice(0, 1) ?? ["python3"], version: `${python?.version ?? ""} ${platform}` },
  };
}
