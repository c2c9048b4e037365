import { renameSync, rmSync } from "node:fs";
import { lstat, mkdir, readdir, readFile, rename, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import { isDiskFull, storageTrouble } from "#base/storage-trouble.ts";
import { type Digest, digestHex, isDigest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { integer, object, parseJson, type TypeOf } from "#contract/shape.ts";
import type { UnpackOutcome } from "#platform/builder/archive/unpack.ts";
import type { Blobs } from "#ports/blobs/index.ts";
import { makeReadOnly, removeTree } from "./bundle-folder.ts";
import { createBundleMeters } from "./bundle-meters.ts";
import type { Bundles, HeldBundle } from "./bundles.ts";
import type { CompileCache } from "./compile-cache.ts";
import { DiskRoom, type FreeFloor, type Reservation } from "./disk-room.ts";
import { type FetchTurn, FetchTurns } from "./fetch-turns.ts";

export interface BundleCacheDeps {
  readonly blobs: Pick<Blobs, "get" | "stat">;
  /** Unpacks an archive into a folder that does not exist yet, wholly or not at all. */
  readonly unpack: (source: AsyncIterable<Uint8Array>, folder: string) => Promise<UnpackOutcome>;
  /** Default: nothing is compiled. */
  readonly compiled?: CompileCache;
  readonly clock: Clock;
  readonly log: Log;
  /** Default: counted for nobody. */
  readonly metrics?: Metrics;
}

export interface BundleCacheOptions {
  readonly folder: string;
  /** Of unpacked files. Bundles in use may exceed it: they are never removed. */
  readonly maximumBytes: number;
  /** Of the folder's file system. */
  readonly keepFree?: FreeFloor;
  /** Of the maximum, what bundles may have that were fetched ahead and not used since. */
  readonly aheadShare?: number;
}

export interface BundleCache extends Bundles {
  /** Of unpacked files. */
  readonly bytes: number;
  /** Of unpacked files, what may be fetched ahead. */
  readonly aheadBytes: number;
  /** Takes what an earlier agent left, and removes what a crash cut off. */
  open(signal: AbortSignal): Promise<void>;
  /**
   * Fetches what is not here for whoever may want it later, standing still while somebody waits for another fetch. What nobody has
   * used of what was fetched so gives way. When the signal aborts, its reason is thrown.
   */
  fetchAhead(tenant: string, digest: Digest, signal: AbortSignal): Promise<"here" | "fetched" | "too-large">;
}

const DEFAULTS = { keepFree: { bytes: 2 ** 30, share: 0.05 }, aheadShare: 0.25 } as const;

/** Written beside the folder when that is whole and read-only. */
const facts = object({ archiveBytes: integer(), unpackedBytes: integer() });

interface Entry extends TypeOf<typeof facts> {
  readonly digest: Digest;
  readonly folder: string;
  holders: number;
  /** Fetched ahead, and not used since. */
  ahead: boolean;
}

interface Fetch {
  readonly turn: FetchTurn;
  readonly done: Promise<void>;
}

/**
 * Unpacked bundles on this host, by content: `<folder>/<hex>` with `<hex>.json` beside it.
 *
 * Owns: that folder. Does not own: blobs, what unpacking admits, what is worth fetching ahead (bundle-preload.ts).
 * Invariants: 1. an entry is whole, read-only and was verified by the blobs port while it was read, or it is not there; 2. two
 * who want the same bundle cause one fetch; 3. what is held is not removed; the rest is removed, longest unused first, while
 * the sum is over the maximum or the disk has less than its floor free for what is to be fetched.
 */
export function createBundleCache(deps: BundleCacheDeps, given: BundleCacheOptions): BundleCache {
  const options = { ...DEFAULTS, ...given };
  const meters = createBundleMeters(deps.metrics ?? createMetrics());
  /** In order of last use. */
  const entries = new Map<Digest, Entry>();
  const fetching = new Map<Digest, Fetch>();
  const removing = new Set<Promise<void>>();
  const turns = new FetchTurns();
  const room = new DiskRoom({ makeRoom }, { folder: options.folder, floor: options.keepFree });
  const aheadBytes = Math.floor(options.maximumBytes * options.aheadShare);
  const folderOf = (digest: Digest) => join(options.folder, digestHex(digest));
  const factsOf = (digest: Digest) => `${folderOf(digest)}.json`;
  let removals = 0;
  let changed = () => {};

  async function fetch(tenant: string, digest: Digest, turn: FetchTurn, signal?: AbortSignal): Promise<void> {
    const begun = deps.clock.monotonic();
    const found = await deps.blobs.stat(tenant, digest);
    if (found === undefined) throw unavailable(digest, "it is not in the store");
    const reserved = await room.reserve(found.bytes, `the bundle ${digest}`);
    try {
      const source = await deps.blobs.get(tenant, digest);
      if (source === undefined) throw unavailable(digest, "it is not in the store");
      const known = await unpack(digest, paced(source, turn, reserved, signal), turn, signal);
      entries.set(digest, { digest, folder: folderOf(digest), ...known, holders: 0, ahead: !turn.urgent });
    } finally {
      reserved.release();
    }
    meters.fetchSeconds.observe((deps.clock.monotonic() - begun) / 1_000);
    changed();
  }

  async function unpack(digest: Digest, source: AsyncIterable<Uint8Array>, turn: FetchTurn, signal?: AbortSignal) {
    const enough = AbortSignal.any(signal === undefined ? [turn.hurried] : [turn.hurried, signal]);
    const folder = folderOf(digest);
    const counted = { bytes: 0 };
    const unpacked = await deps.unpack(count(source, counted), folder);
    if (unpacked.kind === "refused") throw unavailable(digest, unpacked.message);
    try {
      await deps.compiled?.clear(folder);
      // Who waits would wait longer than it saves him.
      const compiledBytes = turn.urgent ? 0 : ((await deps.compiled?.make(folder, enough)) ?? 0);
      const known = { archiveBytes: counted.bytes, unpackedBytes: unpacked.bytes + compiledBytes };
      await makeReadOnly(folder);
      await writeFile(`${factsOf(digest)}.new`, JSON.stringify(known));
      await rename(`${factsOf(digest)}.new`, factsOf(digest));
      return known;
    } catch (error) {
      // What stays would be in the way of every later fetch.
      await removeTree(`${factsOf(digest)}.new`);
      await removeTree(folder);
      throw error;
    }
  }

  function fetchOnce(tenant: string, digest: Digest, signal?: AbortSignal): Fetch {
    const under = fetching.get(digest);
    if (under !== undefined) return under;
    const turn = turns.enter();
    const done = fetch(tenant, digest, turn, signal)
      .catch((error) => {
        throw failureOf(error, digest, options.folder);
      })
      .finally(() => {
        turn.leave();
        fetching.delete(digest);
      });
    const fetched = { turn, done };
    fetching.set(digest, fetched);
    return fetched;
  }

  async function hold(tenant: string, digest: Digest): Promise<HeldBundle> {
    let entry = entries.get(digest);
    (entry === undefined ? meters.misses : meters.hits).value++;
    // What was fetched may be evicted by another's hold before it is this one's turn.
    while (entry === undefined) {
      const { turn, done } = fetchOnce(tenant, digest);
      turn.hurry();
      await done;
      entry = entries.get(digest);
    }
    entry.holders++;
    entry.ahead = false;
    entries.delete(digest);
    entries.set(digest, entry);
    evict();
    // Only the order of a later agent hangs on it.
    const seconds = deps.clock.now() / 1_000;
    utimes(factsOf(digest), seconds, seconds).catch(() => {});
    return heldOf(tenant, entry);
  }

  async function fetchAhead(tenant: string, digest: Digest, signal: AbortSignal) {
    signal.throwIfAborted();
    if (entries.has(digest) || fetching.has(digest)) return "here";
    const found = await deps.blobs.stat(tenant, digest);
    if (found === undefined) throw unavailable(digest, "it is not in the store");
    if (found.bytes > aheadBytes) return "too-large";
    evictUnused(aheadBytes - found.bytes);
    await fetchOnce(tenant, digest, signal).done;
    evict();
    return "fetched";
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

  const spare = () => [...entries.values()].filter((entry) => entry.holders === 0);

  function evict(): void {
    let bytes = bytesOf(entries.values());
    for (const entry of bytes > options.maximumBytes ? spare() : []) {
      if (bytes <= options.maximumBytes) return;
      bytes -= entry.unpackedBytes;
      drop(entry);
    }
  }

  /** Of what was fetched ahead, so much may stay. */
  function evictUnused(allowedBytes: number): void {
    const unused = spare().filter((entry) => entry.ahead);
    while (bytesOf(unused) > allowedBytes) drop(unused.shift()!);
  }

  /** What is being removed may be enough. */
  async function makeRoom(): Promise<boolean> {
    if (removing.size === 0) {
      const [first] = spare();
      if (first === undefined) return false;
      drop(first);
    }
    await Promise.all(removing);
    return true;
  }

  /** In a later fetch of the same bundle the name must be free at once. */
  function drop({ digest }: Entry): void {
    entries.delete(digest);
    meters.evictions.value++;
    const aside = join(options.folder, `removed-${digestHex(digest)}-${removals++}`);
    try {
      rmSync(factsOf(digest), { force: true });
      renameSync(folderOf(digest), aside);
    } catch (error) {
      deps.log.warn("a bundle could not be removed", { digest, error });
    }
    const removed = removeTree(aside)
      .catch((error) => deps.log.warn("a bundle could not be removed", { digest, error }))
      .finally(() => removing.delete(removed));
    removing.add(removed);
    changed();
  }

  async function take(name: string): Promise<{ entry: Entry; usedMs: number } | undefined> {
    const digest = `sha256:${name.replace(/\.json$/, "")}`;
    if (!name.endsWith(".json") || !isDigest(digest)) return undefined;
    try {
      const known = parseJson(facts, await readFile(factsOf(digest), "utf8"), name);
      if (!(await lstat(folderOf(digest))).isDirectory()) return undefined;
      const { mtimeMs: usedMs } = await stat(factsOf(digest));
      return { entry: { digest, folder: folderOf(digest), ...known, holders: 0, ahead: false }, usedMs };
    } catch {
      return undefined;
    }
  }

  return {
    hold,
    fetchAhead,
    aheadBytes,
    digests: () => [...entries.keys()],
    get bytes() {
      return bytesOf(entries.values());
    },
    onChange(listener) {
      changed = listener;
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

function bytesOf(entries: Iterable<Entry>): number {
  let sum = 0;
  for (const { unpackedBytes } of entries) sum += unpackedBytes;
  return sum;
}

/** As fast as its turn allows; what went through counts as written. */
async function* paced(
  source: AsyncIterable<Uint8Array>,
  turn: FetchTurn,
  reserved: Reservation,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  aborted.catch(() => {});
  const abort = () => reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  try {
    for (;;) {
      await Promise.race([turn.turn(), aborted]);
      const next = await Promise.race([iterator.next(), aborted]);
      if (next.done) return;
      yield next.value;
      reserved.wrote(next.value.byteLength);
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // A read that hangs must not hold up whoever gave up waiting for it.
    void iterator.return?.().catch(() => {});
  }
}

async function* count(source: AsyncIterable<Uint8Array>, counted: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    counted.bytes += chunk.byteLength;
    yield chunk;
  }
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
