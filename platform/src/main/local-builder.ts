/** Builds without a platform, as control would: for the command line. */
import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { createSystemClock } from "#base/clock.ts";
import { createIds } from "#base/ids.ts";
import { createSilentLog } from "#base/log.ts";
import { createSystemRandom } from "#base/random.ts";
import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import { createFilesystemBlobs } from "#drivers/blobs/filesystem/driver.ts";
import { listArchive } from "#platform/builder/archive/list.ts";
import type { FolderEntry } from "#platform/builder/archive/walk.ts";
import { createBuilder } from "#platform/builder/builder.ts";
import { builderOptions, findRuntimesHere } from "./builder-options.ts";

const ALIVE_MS = 60_000;

export interface LocalBuilder {
  build(request: LocalBuildRequest): Promise<LocalBundle>;
}

export interface LocalBuildRequest {
  /** A packed source: its file, digest and size. */
  readonly path: string;
  readonly digest: string;
  readonly bytes: number;
  readonly config: FunctionConfig;
  onStep(text: string): void;
  onOutput(text: string): void;
}

export interface LocalBundle {
  readonly digest: Digest;
  readonly bytes: number;
  readonly entries: readonly FolderEntry[];
  /** Of package.json, where there is one. */
  readonly packageJson: string | undefined;
  /** Writes the bundle to this file; what is there already is replaced when all of it is written. */
  save(path: string): Promise<void>;
}

/** `folder` is the builder's alone; whoever made it removes it. What is under way at `signal` is aborted. */
export async function withLocalBuilder<T>(
  folder: string,
  signal: AbortSignal,
  use: (builder: LocalBuilder) => Promise<T>,
): Promise<T> {
  const clock = createSystemClock();
  const blobs = createFilesystemBlobs({ root: join(folder, "blobs"), readOnly: false });
  const deps = { blobs, clock, ids: createIds(clock, createSystemRandom()), log: createSilentLog() };
  const builder = createBuilder(deps, builderOptions(join(folder, "build"), await findRuntimesHere()));
  await blobs.open(signal);
  await builder.open(signal);
  // The clock's timers do not keep a process alive, and between two tools there may be nothing else.
  const alive = setInterval(() => {}, ALIVE_MS);
  try {
    return await use({
      async build({ path, digest, bytes, ...request }) {
        const source = digest as Digest;
        await blobs.put(DEFAULT_TENANT, source, createReadStream(path), { maximumBytes: bytes });
        const built = await builder.build({ tenant: DEFAULT_TENANT, source, ...request }, signal);
        const read = async () => (await blobs.get(DEFAULT_TENANT, built.digest))!;
        const { entries, texts } = await listArchive(await read(), ["package.json"]);
        const save = async (to: string) => write(await read(), to, signal);
        return { ...built, entries, packageJson: texts.get("package.json"), save };
      },
    });
  } finally {
    await builder.close();
    await blobs.close();
    clearInterval(alive);
  }
}

async function write(bundle: AsyncIterable<Uint8Array>, path: string, signal: AbortSignal): Promise<void> {
  const aside = `${path}.${process.pid}.part`;
  try {
    await pipeline(bundle, createWriteStream(aside), { signal });
    await rename(aside, path);
  } finally {
    await rm(aside, { force: true });
  }
}
