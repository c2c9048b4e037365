import { renameSync, rmSync } from "node:fs";
import { chmod, lstat, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { isDiskFull, storageTrouble } from "#base/storage-trouble.ts";
import { type Digest, digestHex, isDigest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { integer, object, parseJson, type TypeOf } from "#contract/shape.ts";
import type { UnpackOutcome } from "#platform/builder/archive/unpack.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import type { Bundles, HeldBundle } from "./bundles.ts";

export interface BundleCacheDeps {
  readonly blobs: Pick<Blobs, "get">;
  /** Unpacks an archive into a folder that does not exist yet, wholly or not at all. */
  readonly unpack: (source: AsyncIterable<Uint8Array>, folder: string) => Promise<UnpackOutcome>;
  readonly clock: Clock;
  readonly log: Log;
}

export interface BundleCacheOptions {
  readonly folder: string;
  /** Of unpacked files. Bundles in use may exceed it: they are never removed. */
  readonly maximumBytes: number;
}

export interface BundleCache extends Bundles {
  /** Of unpacked files. */
  readonly bytes: number;
  /** Takes what an earlier agent left, and removes what a crash cut off. */
  open(signal: AbortSignal): Promise<void>;
}

/** Written beside the folder when that is whole and read-only. */
const facts = object({ archiveBytes: integer(), unpackedBytes: integer() });

interface Entry extends TypeOf<typeof facts> {
  readonly digest: Digest;
  readonly folder: string;
  holders: number;
}

/**
 * Unpacked bundles on this host, by content: `<folder>/<hex>` with `<hex>.json` beside it.
 *
 * Owns: that folder. Does not own: blobs, what unpacking admits.
 * Invariants: 1. an entry is whole, read-only and was verified by the blobs port while it was read, or it is not there; 2. two
 * who want the same bundle cause one fetch; 3. what is held is not removed; the rest is removed, longest unused first, while
 * the sum is over the maximum.
 */
export function createBundleCache(deps: BundleCacheDeps, options: BundleCacheOptions): BundleCache {
  /** In order of last use. */
  const entries = new Map<Digest, Entry>();
  const fetching = new Map<Digest, Promise<void>>();
  const folderOf = (digest: Digest) => join(options.folder, digestHex(digest));
  const factsOf = (digest: Digest) => `${folderOf(digest)}.json`;

  async function fetch(tenant: string, digest: Digest): Promise<void> {
    const folder = folderOf(digest);
    const source = await deps.blobs.get(tenant, digest);
    if (source === undefined) throw unavailable(digest, "it is not in the store");
    const counted = { bytes: 0 };
    const unpacked = await deps.unpack(count(source, counted), folder);
    if (unpacked.kind === "refused") throw unavailable(digest, unpacked.message);
    const known = { archiveBytes: counted.bytes, unpackedBytes: unpacked.bytes };
    try {
      await makeReadOnly(folder);
      await writeFile(`${factsOf(digest)}.new`, JSON.stringify(known));
      await rename(`${factsOf(digest)}.new`, factsOf(digest));
    } catch (error) {
      // What stays would be in the way of every later fetch.
      await removeTree(`${factsOf(digest)}.new`);
      await removeTree(folder);
      throw error;
    }
    entries.set(digest, { digest, folder, ...known, holders: 0 });
  }

  function fetchOnce(tenant: string, digest: Digest): Promise<void> {
    const under = fetching.get(digest);
    if (under !== undefined) return under;
    const fetched = fetch(tenant, digest)
      .catch((error) => {
        throw failureOf(error, digest, options.folder);
      })
      .finally(() => fetching.delete(digest));
    fetching.set(digest, fetched);
    return fetched;
  }

  async function hold(tenant: string, digest: Digest): Promise<HeldBundle> {
    let entry = entries.get(digest);
    // What was fetched may be evicted by another's hold before it is this one's turn.
    while (entry === undefined) {
      await fetchOnce(tenant, digest);
      entry = entries.get(digest);
    }
    entry.holders++;
    entries.delete(digest);
    entries.set(digest, entry);
    evict();
    // Only the order of a later agent hangs on it.
    const seconds = deps.clock.now() / 1_000;
    utimes(factsOf(digest), seconds, seconds).catch(() => {});
    return heldOf(tenant, entry);
  }

  function heldOf(tenant: string, entry: Entry): HeldBundle {
    let held = true;
    return {
      digest: entry.digest,
      bytes: entry.archiveBytes,
      folder: entry.folder,
      read: () => readBlob(tenant, entry.digest),
      release() {
        if (held) entry.holders--;
        held = false;
        evict();
      },
    };
  }

  async function* readBlob(tenant: string, digest: Digest): AsyncGenerator<Uint8Array, void, void> {
    const source = await deps.blobs.get(tenant, digest);
    if (source === undefined) throw unavailable(digest, "it is not in the store");
    yield* source;
  }

  const bytesNow = () => [...entries.values()].reduce((sum, entry) => sum + entry.unpackedBytes, 0);

  function evict(): void {
    let bytes = bytesNow();
    for (const entry of [...entries.values()]) {
      if (bytes <= options.maximumBytes) return;
      if (entry.holders > 0) continue;
      bytes -= entry.unpackedBytes;
      entries.delete(entry.digest);
      drop(entry.digest);
    }
  }

  /** In a later fetch of the same bundle the name must be free at once. */
  function drop(digest: Digest): void {
    const aside = join(options.folder, `removed-${digestHex(digest)}-${removals++}`);
    try {
      rmSync(factsOf(digest), { force: true });
      renameSync(folderOf(digest), aside);
    } catch (error) {
      deps.log.warn("a bundle could not be removed", { digest, error });
    }
    removeTree(aside).catch((error) => deps.log.warn("a bundle could not be removed", { digest, error }));
  }
  let removals = 0;

  async function take(name: string): Promise<{ entry: Entry; usedMs: number } | undefined> {
    const digest = `sha256:${name.replace(/\.json$/, "")}`;
    if (!name.endsWith(".json") || !isDigest(digest)) return undefined;
    try {
      const known = parseJson(facts, await readFile(factsOf(digest), "utf8"), name);
      if (!(await lstat(folderOf(digest))).isDirectory()) return undefined;
      const { mtimeMs: usedMs } = await stat(factsOf(digest));
      return { entry: { digest, folder: folderOf(digest), ...known, holders: 0 }, usedMs };
    } catch {
      return undefined;
    }
  }

  return {
    hold,
    digests: () => [...entries.keys()],
    get bytes() {
      return bytesNow();
    },
    async open(signal) {
      await mkdir(options.folder, { recursive: true, mode: 0o700 });
      const names = await readdir(options.folder);
      const taken = (await Promise.all(names.map(take))).filter((found) => found !== undefined);
      taken.sort((a, b) => a.usedMs - b.usedMs);
      for (const { entry } of taken) entries.set(entry.digest, entry);
      const whole = new Set(taken.flatMap(({ entry }) => [digestHex(entry.digest), `${digestHex(entry.digest)}.json`]));
      for (const name of names) if (!whole.has(name)) await removeTree(join(options.folder, name));
      signal.throwIfAborted();
      evict();
    },
  };
}

async function* count(source: AsyncIterable<Uint8Array>, counted: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    counted.bytes += chunk.byteLength;
    yield chunk;
  }
}

/** Functions of all sandboxes that share a bundle read the same files. */
async function makeReadOnly(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeReadOnly(path);
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode & 0o555);
  }
  await chmod(folder, 0o555);
}

/** Read-only folders refuse to be emptied. */
async function removeTree(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isDirectory()) await makeWritable(path);
  await rm(path, { recursive: true, force: true });
}

async function makeWritable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true }))
    if (entry.isDirectory()) await makeWritable(join(folder, entry.name));
}

/** A full disk is no passing trouble: whoever waits is told at once, as where memory is short. */
function failureOf(error: unknown, digest: Digest, folder: string): PlatformError {
  if (error instanceof PlatformError) return error;
  const told = isDiskFull(error) ? storageTrouble(error, folder) : undefined;
  if (told !== undefined)
    return new PlatformError("no-capacity", `no room for the bundle ${digest}: ${told}`, { cause: error });
  return unavailable(digest, error instanceof Error ? error.message : String(error), error);
}

function unavailable(digest: Digest, why: string, cause?: unknown): PlatformError {
  return new PlatformError("unavailable", `the bundle ${digest} can't be had: ${why}`, { cause });
}
