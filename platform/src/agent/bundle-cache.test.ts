import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { fill, mountSmallDisk } from "#base/small-disk.fixture.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { tarOf } from "#platform/builder/archive/archive.fixture.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { type BundleCacheDeps, type BundleCacheOptions, createBundleCache } from "./bundle-cache.ts";

let folder: string;
let clock: SimulatedClock;
let reads: number;
let metrics: Metrics;
let blobs: ReturnType<typeof createMemoryBlobs>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "colibri-bundles-"));
  clock = new SimulatedClock();
  reads = 0;
  metrics = createMetrics();
  blobs = createMemoryBlobs({ now: () => clock.now() });
  await blobs.open(AbortSignal.timeout(1_000));
});
afterEach(async () => {
  await blobs.close();
  // What is read-only keeps its files, unless root removes it.
  execFileSync("chmod", ["-R", "u+w", folder]);
  rmSync(folder, { recursive: true });
});

/** The disk of whoever runs this may be nearly full. */
const keepFree = { bytes: 0, share: 0 };

async function make(maximumBytes = 1 << 30, more: Partial<BundleCacheDeps & BundleCacheOptions> = {}) {
  const get: typeof blobs.get = (tenant, digest) => {
    reads++;
    return blobs.get(tenant, digest);
  };
  const stat: typeof blobs.stat = (tenant, digest) => blobs.stat(tenant, digest);
  const parts = { blobs: { get, stat }, unpack: unpackArchive, clock, log: createSilentLog(), metrics };
  const cache = createBundleCache({ ...parts, ...more }, { folder, maximumBytes, keepFree, ...more });
  await cache.open(AbortSignal.timeout(5_000));
  return cache;
}

async function store(tar: Buffer): Promise<Digest> {
  const digest: Digest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  await blobs.put(
    "default",
    digest,
    (async function* () {
      yield tar;
    })(),
    { maximumBytes: 1 << 30 },
  );
  return digest;
}

/** A bundle with one file of so many bytes. */
const bundle = async (name: string, bytes = 100) =>
  store(
    await tarOf([
      { name: "index.mjs", content: `// ${name}`.padEnd(bytes, "x") },
      { name: "lib/a.mjs", content: "a" },
    ]),
  );

const rejects = (promise: Promise<unknown>, message: RegExp) =>
  assert.rejects(
    promise,
    (error) => error instanceof PlatformError && error.code === "unavailable" && message.test(error.message),
  );

test("a bundle is unpacked once, read-only, for all who want it at once and later", async () => {
  const cache = await make();
  const digest = await bundle("one");
  const held = await Promise.all([
    cache.hold("default", digest),
    cache.hold("default", digest),
    cache.hold("default", digest),
  ]);
  held.push(await cache.hold("default", digest));
  assert.equal(reads, 1);
  assert.equal(new Set(held.map((bundle) => bundle.folder)).size, 1);
  const file = join(held[0]!.folder, "lib/a.mjs");
  assert.equal(readFileSync(file, "utf8"), "a");
  assert.deepEqual([statSync(file).mode & 0o222, statSync(join(held[0]!.folder, "lib")).mode & 0o222], [0, 0]);
  const read = Buffer.concat(await Array.fromAsync(held[0]!.read()));
  assert.equal(read.length, held[0]!.bytes);
  assert.equal(`sha256:${createHash("sha256").update(read).digest("hex")}`, digest);
});

test("the longest unused goes first when there is too much, and never what is held", async () => {
  const cache = await make(2_500);
  const [a, b, c] = [await bundle("a", 1_000), await bundle("b", 1_000), await bundle("c", 1_000)];
  const held = await cache.hold("default", a);
  (await cache.hold("default", b)).release();
  (await cache.hold("default", c)).release();
  assert.deepEqual(cache.digests(), [a, c]);
  assert.ok(existsSync(join(held.folder, "index.mjs")));
  const [again, more] = [await cache.hold("default", c), await cache.hold("default", b)];
  assert.equal(cache.digests().length, 3);
  held.release();
  held.release();
  assert.deepEqual(cache.digests(), [c, b]);
  again.release();
  more.release();
});

test("what is missing, damaged or no archive fails by name and leaves nothing; a later try may succeed", async () => {
  const cache = await make();
  const missing: Digest = `sha256:${"a".repeat(64)}`;
  await rejects(cache.hold("default", missing), /bundle sha256:a+ can't be had: it is not in the store/);
  await rejects(cache.hold("default", await store(Buffer.from("not a tar"))), /can't be had/);
  await rejects(cache.hold("other", await bundle("one")), /not in the store/);
  assert.deepEqual(readdirSync(folder), []);
  await cache.hold("default", await bundle("one"));
});

test("the next cache takes over what is whole, in order of use, and removes what is not", async () => {
  const first = await make();
  const [a, b] = [await bundle("a", 1_000), await bundle("b", 1_000)];
  for (const digest of [a, b, a]) {
    (await first.hold("default", digest)).release();
    await clock.advance(10_000);
  }
  const torn = join(folder, "f".repeat(64));
  mkdirSync(join(torn, "half"), { recursive: true });
  writeFileSync(join(folder, "removed-x"), "");
  writeFileSync(join(folder, `${"e".repeat(64)}.json`), "{}");
  // The order is written in the background.
  const orderOf = (digest: Digest) => statSync(join(folder, `${digest.slice(7)}.json`)).mtimeMs;
  while (orderOf(a) <= orderOf(b) || orderOf(a) > clock.now()) await new Promise((resolve) => setImmediate(resolve));
  reads = 0;
  const next = await make();
  assert.deepEqual(next.digests(), [b, a]);
  assert.equal(readdirSync(folder).length, 4);
  await next.hold("default", a);
  assert.equal(reads, 0);
});

test("one that was unpacked and could not be written down is not in the way of the next try", async () => {
  const cache = await make();
  const digest = await bundle("a");
  mkdirSync(join(folder, `${digest.slice("sha256:".length)}.json.new`));
  await assert.rejects(cache.hold("default", digest), { code: "unavailable" });
  assert.deepEqual(readdirSync(folder), []);
  assert.ok(existsSync((await cache.hold("default", digest)).folder));
});

test("where the disk has no room, that is told as such", async () => {
  const unpack = async () => {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  const cache = await make(1, { unpack });
  await assert.rejects(cache.hold("default", await bundle("a")), {
    code: "no-capacity",
    message: new RegExp(`no room for the bundle sha256:.*: ${folder} can't be used: its disk is full`),
  });
});

test("whatever an archive or its unpacking says of modes, all may read, nobody may write, and nothing runs as another", async () => {
  const unpack: BundleCacheDeps["unpack"] = async (source, into) => {
    for await (const _ of source);
    mkdirSync(join(into, "shut"), { recursive: true, mode: 0o700 });
    const modes = { secret: 0o600, tool: 0o4700, group: 0o2610, "shut/deep": 0o200, odd: 0o001 };
    for (const [name, mode] of Object.entries(modes)) {
      writeFileSync(join(into, name), name);
      chmodSync(join(into, name), mode);
    }
    symlinkSync("shut/deep", join(into, "link"));
    chmodSync(join(into, "shut"), 0o1700);
    return { kind: "unpacked", files: 5, bytes: 20 };
  };
  const cache = await make(1 << 30, { unpack });
  const held = await cache.hold("default", await bundle("modes"));
  const modeOf = (name: string) => (statSync(join(held.folder, name)).mode & 0o7777).toString(8);
  assert.deepEqual(
    ["", "shut", "secret", "tool", "group", "shut/deep", "odd", "link"].map((name) => `${name} ${modeOf(name)}`),
    [" 555", "shut 555", "secret 444", "tool 555", "group 555", "shut/deep 444", "odd 555", "link 444"],
  );
});

test("what an archive says of owners and set-uid bits does not reach the files; another user reads them", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("needs root, to be somebody else");
  const entries = [
    { name: "lib/", type: "directory", mode: 0o700, uid: 4_711 },
    { name: "lib/tool", content: "hello", mode: 0o6710, uid: 4_711, gid: 4_712 },
    { name: "same", type: "symlink", linkname: "lib/tool" },
  ];
  const cache = await make();
  const held = await cache.hold("default", await store(await tarOf(entries)));
  const { uid, gid, mode } = statSync(join(held.folder, "lib/tool"));
  assert.deepEqual([uid, gid, mode & 0o7777], [0, process.getgid?.(), 0o555]);
  chmodSync(folder, 0o711);
  const somebody = { uid: 65_534, gid: 65_534, encoding: "utf8" } as const;
  assert.equal(execFileSync("cat", [join(held.folder, "same")], somebody), "hello");
  assert.notEqual(spawnSync("touch", [join(held.folder, "lib/more")], somebody).status, 0);
});

test("a bundle in which there is anything but files, folders and links is not taken", async () => {
  const unpack: BundleCacheDeps["unpack"] = async (source, into) => {
    for await (const _ of source);
    mkdirSync(into);
    execFileSync("mkfifo", [join(into, "pipe")]);
    return { kind: "unpacked", files: 1, bytes: 20 };
  };
  await rejects(
    (await make(1 << 30, { unpack })).hold("default", await bundle("a")),
    /pipe is no file, folder or link/,
  );
  assert.deepEqual(readdirSync(folder), []);
});

test("a part of the disk stays free: the longest unused goes before a fetch, and a full disk is told", async (t) => {
  const disk = mountSmallDisk(t, 1_024);
  if (typeof disk === "string") return t.skip(disk);
  const cache = await make(1 << 30, { folder: disk.folder, keepFree: { bytes: 400 << 10, share: 0.9 } });
  const [a, b, c] = [await bundle("a", 250 << 10), await bundle("b", 250 << 10), await bundle("c", 250 << 10)];
  (await cache.hold("default", a)).release();
  const held = await cache.hold("default", b);
  (await cache.hold("default", c)).release();
  assert.deepEqual(cache.digests(), [b, c]);
  const free = () => statfsSync(disk.folder).bavail * statfsSync(disk.folder).bsize;
  assert.ok(free() >= 400 << 10, `${free()} are free`);
  fill(join(disk.folder, "others"));
  const again = await cache.hold("default", b);
  await assert.rejects(cache.hold("default", a), {
    code: "no-capacity",
    message: new RegExp(
      `no room for the bundle ${a}: it needs 0.2 MiB and ${disk.folder} has [0-9.]+ MiB free, where 0.4 MiB must stay free`,
    ),
  });
  assert.deepEqual(cache.digests(), [b]);
  again.release();
  held.release();
});

test("of the floor the smaller counts: bytes, or a share", async (t) => {
  const disk = mountSmallDisk(t, 1_024);
  if (typeof disk === "string") return t.skip(disk);
  const cache = await make(1 << 30, { folder: disk.folder, keepFree: { bytes: 1 << 30, share: 0.05 } });
  await cache.hold("default", await bundle("a", 700 << 10));
});

test("two fetches at once don't both count on the same free bytes", async (t) => {
  const disk = mountSmallDisk(t, 1_024);
  if (typeof disk === "string") return t.skip(disk);
  const cache = await make(1 << 30, { folder: disk.folder, keepFree: { bytes: 300 << 10, share: 1 } });
  const digests = [await bundle("a", 450 << 10), await bundle("b", 450 << 10)];
  const done = await Promise.allSettled(digests.map((digest) => cache.hold("default", digest)));
  assert.deepEqual(done.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
  assert.match(String((done.find(({ status }) => status === "rejected") as PromiseRejectedResult).reason), /no room/);
});

test("what comes and goes is told, a hit is not", async () => {
  const cache = await make(1_500);
  const told: Digest[][] = [];
  cache.onChange(() => told.push(cache.digests()));
  const [a, b] = [await bundle("a", 1_000), await bundle("b", 1_000)];
  (await cache.hold("default", a)).release();
  (await cache.hold("default", a)).release();
  (await cache.hold("default", b)).release();
  assert.deepEqual(told, [[a], [a, b], [b]]);
});

test("hits, misses, fetches and evictions are counted", async () => {
  const cache = await make(1_500);
  const [a, b] = [await bundle("a", 1_000), await bundle("b", 1_000)];
  const held = await Promise.all([cache.hold("default", a), cache.hold("default", a)]);
  for (const one of [...held, await cache.hold("default", a)]) one.release();
  await cache.hold("default", b);
  const text = metrics.render();
  for (const line of ["cache_hits_total 1", "cache_misses_total 3", "cache_evictions_total 1", "fetch_seconds_count 2"])
    assert.ok(text.includes(`colibri_bundle_${line}\n`), `${line}: ${text}`);
});
