import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { tarOf } from "#platform/builder/archive/archive.fixture.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { createBundleCache } from "./bundle-cache.ts";

let folder: string;
let clock: SimulatedClock;
let reads: number;
let blobs: ReturnType<typeof createMemoryBlobs>;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "colibri-bundles-"));
  clock = new SimulatedClock();
  reads = 0;
  blobs = createMemoryBlobs({ now: () => clock.now() });
  await blobs.open(AbortSignal.timeout(1_000));
});
afterEach(async () => {
  await blobs.close();
  // What is read-only keeps its files, unless root removes it.
  execFileSync("chmod", ["-R", "u+w", folder]);
  rmSync(folder, { recursive: true });
});

async function make(maximumBytes = 1 << 30) {
  const get: typeof blobs.get = (tenant, digest) => {
    reads++;
    return blobs.get(tenant, digest);
  };
  const deps = { blobs: { get }, unpack: unpackArchive, clock, log: createSilentLog() };
  const cache = createBundleCache(deps, { folder, maximumBytes });
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
  const get: typeof blobs.get = (tenant, digest) => blobs.get(tenant, digest);
  const unpack = async () => {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  };
  const cache = createBundleCache(
    { blobs: { get }, unpack, clock, log: createSilentLog() },
    { folder, maximumBytes: 1 },
  );
  await assert.rejects(cache.hold("default", await bundle("a")), {
    code: "no-capacity",
    message: new RegExp(`no room for the bundle sha256:.*: ${folder} can't be used: its disk is full`),
  });
});
