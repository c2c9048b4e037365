import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { createLog } from "#base/log.ts";
import { createMetrics, type Metrics } from "#base/metrics.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { revisionKey } from "#contract/names.ts";
import type { LaunchSpec } from "#contract/plan/plan.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { createMemoryPlans } from "#drivers/plans/memory/driver.ts";
import { tarOf } from "#platform/builder/archive/archive.fixture.ts";
import { unpackArchive } from "#platform/builder/archive/unpack.ts";
import { type BundleCache, createBundleCache } from "./bundle-cache.ts";
import { type BundlePreload, createBundlePreload } from "./bundle-preload.ts";
import type { CompileCache } from "./compile-cache.ts";

let folder: string;
let metrics: Metrics;
let blobs: ReturnType<typeof createMemoryBlobs>;
let plans: ReturnType<typeof createMemoryPlans<LaunchSpec>>;
let cache: BundleCache;
let preload: BundlePreload;
/** Digests in the order in which they were asked for; what is in `gates` waits after its first bytes. */
let asked: Digest[];
let gates: Map<Digest, Promise<void>>;
let said: string[];
/** Compiling lasts until it is told to end. */
let compiling: "begun" | "ended" | undefined;
let slowly: boolean;
const compiled: CompileCache = {
  clear: async () => {},
  async make(_folder, signal) {
    if (!slowly) return 0;
    compiling = "begun";
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    compiling = "ended";
    return 0;
  },
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "colibri-preload-"));
  metrics = createMetrics();
  asked = [];
  gates = new Map();
  said = [];
  compiling = undefined;
  slowly = false;
  blobs = createMemoryBlobs({ now: () => 0 });
  plans = createMemoryPlans<LaunchSpec>();
  await blobs.open(AbortSignal.timeout(1_000));
});
afterEach(async () => {
  await preload.close();
  await blobs.close();
  execFileSync("chmod", ["-R", "u+w", folder]);
  rmSync(folder, { recursive: true });
});

/** Of `maximumBytes`, half may be fetched ahead. */
async function start(maximumBytes = 1 << 20): Promise<void> {
  const clock = new SimulatedClock();
  const log = createLog({ clock, write: (line) => said.push(line) }, { level: "warn" });
  const stat: typeof blobs.stat = (tenant, digest) => blobs.stat(tenant, digest);
  const gated = { stat, get };
  const deps = { blobs: gated, unpack: unpackArchive, compiled, clock, log, metrics };
  cache = createBundleCache(deps, { folder, maximumBytes, aheadShare: 0.5, keepFree: { bytes: 0, share: 0 } });
  await cache.open(AbortSignal.timeout(5_000));
  preload = createBundlePreload({ launches: plans, bundles: cache, log, metrics });
  preload.open();
}

async function get(tenant: string, digest: Digest) {
  asked.push(digest);
  const source = await blobs.get(tenant, digest);
  return source && waiting(source, gates.get(digest));
}

async function* waiting(source: AsyncIterable<Uint8Array>, gate: Promise<void> | undefined) {
  for await (const chunk of source) {
    yield chunk.subarray(0, 100);
    await gate;
    yield chunk.subarray(100);
  }
}

async function store(name: string, bytes = 1_000): Promise<Digest> {
  const tar = await tarOf([{ name: "index.mjs", content: name.padEnd(bytes, " ") }]);
  const digest: Digest = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const chunks = (async function* () {
    yield tar;
  })();
  await blobs.put("acme", digest, chunks, { maximumBytes: 1 << 30 });
  return digest;
}

function plan(name: string, revision: string, digest: Digest, bytes = 2_560): LaunchSpec {
  const of = { tenant: "acme", app: "shop", function: name, revision };
  const sizes = { memoryMiB: 128, concurrency: 20, timeoutMs: 30_000, initTimeoutMs: 10_000 };
  const code = { runtime: "nodejs", handler: "index.mjs", execution: "loop", bundle: { digest, bytes } } as const;
  return { ...of, ...sizes, ...code, environment: {}, network: { kind: "internet" }, sealedSecrets: [] };
}

const put = (spec: LaunchSpec) => plans.put(revisionKey(spec), spec);
const DEADLINE_MS = 5_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = performance.now() + DEADLINE_MS;
  while (!holds()) {
    assert.ok(performance.now() < end, `not within ${DEADLINE_MS} ms: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
const here = (digest: Digest) => () => cache.digests().includes(digest);

test("a bundle is on the host before anybody asks for it, once its plan has come", async () => {
  await start();
  const a = await store("a");
  put(plan("f", "r1", a));
  await until("it is fetched", here(a));
  assert.deepEqual(asked, [a]);
  (await cache.hold("acme", a)).release();
  put(plan("f", "r2", a));
  const b = await store("b");
  put(plan("f", "r3", b));
  await until("the next is fetched", here(b));
  assert.deepEqual(asked, [a, b]);
  const text = metrics.render();
  assert.match(text, /colibri_bundle_preloads_total\{outcome="done"\} 2\n/);
  assert.match(text, /colibri_bundle_cache_hits_total 1\n/);
  assert.match(text, /colibri_bundle_cache_misses_total 0\n/);
});

test("of the plans at the start, the newest revision of each function, as many as the bytes allow", async () => {
  const [old, a, b, c] = [await store("old"), await store("a"), await store("b"), await store("c")];
  put(plan("f", "r10", a));
  put(plan("f", "r9", old));
  put(plan("g", "r1", b));
  put(plan("h", "r1", c));
  await start(11_000);
  await until("two are fetched", () => cache.digests().length === 2);
  await preload.close();
  assert.deepEqual(asked, [a, b]);
});

test("what nobody used gives way to what comes, what is used does not", async () => {
  await start(6_000);
  const [used, a, b, c] = [await store("used"), await store("a"), await store("b"), await store("c")];
  put(plan("f", "r1", used));
  await until("it is fetched", here(used));
  (await cache.hold("acme", used)).release();
  for (const [revision, digest] of [
    ["r2", a],
    ["r3", b],
    ["r4", c],
  ] as const) {
    put(plan("f", revision, digest));
    await until(`${revision} is fetched`, here(digest));
    assert.deepEqual(cache.digests(), [used, digest]);
  }
  const large = await store("large", 3_000);
  put(plan("f", "r5", large, 4_608));
  const small = await store("small");
  put(plan("f", "r6", small));
  await until("the small one is fetched", here(small));
  assert.ok(!asked.includes(large));
  assert.deepEqual(said, []);
});

test("it stands still while a request's fetch is under way, unless the request wants the same", async () => {
  await start(10 << 20);
  const [ahead, wanted] = [await store("ahead", 200_000), await store("wanted")];
  const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  gates.set(ahead, first.promise);
  gates.set(wanted, second.promise);
  put(plan("f", "r1", ahead));
  await until("it is being fetched", () => asked.includes(ahead));
  const held = cache.hold("acme", wanted);
  await until("the request's is being fetched", () => asked.includes(wanted));
  first.resolve();
  for (const name of ["more", "and more"]) {
    const other = await store(name, 400_000);
    (await cache.hold("acme", other)).release();
  }
  assert.ok(!here(ahead)());
  const same = await cache.hold("acme", ahead);
  assert.ok(here(ahead)() && !here(wanted)());
  second.resolve();
  (await held).release();
  same.release();
  assert.equal(asked.filter((digest) => digest === ahead).length, 1);
});

test("it goes on when the request has what it wanted", async () => {
  await start();
  const [ahead, wanted] = [await store("ahead"), await store("wanted")];
  const gate = Promise.withResolvers<void>();
  gates.set(wanted, gate.promise);
  const held = cache.hold("acme", wanted);
  await until("the request's is being fetched", () => asked.includes(wanted));
  put(plan("f", "r1", ahead));
  await until("it has begun", () => asked.includes(ahead));
  gate.resolve();
  (await held).release();
  await until("it is fetched", here(ahead));
});

test("what fails is told once and left for whoever asks; the rest is fetched", async () => {
  await start();
  const [missing, a]: [Digest, Digest] = [`sha256:${"a".repeat(64)}`, await store("a")];
  put(plan("f", "r1", missing));
  put(plan("g", "r1", a));
  await until("the other is fetched", here(a));
  await preload.close();
  assert.equal(said.length, 1);
  assert.match(said[0]!, /could not be fetched ahead.*acme\/shop\/f@r1.*not in the store/);
  assert.match(metrics.render(), /colibri_bundle_preloads_total\{outcome="failed"\} 1\n/);
});

test("where there is no room for one, the others that wait are not tried", async () => {
  const tried: Digest[] = [];
  const bundles = {
    aheadBytes: 1 << 20,
    async fetchAhead(_tenant: string, digest: Digest): Promise<"fetched"> {
      tried.push(digest);
      throw new PlatformError("no-capacity", "no room");
    },
  };
  const log = createLog({ clock: new SimulatedClock(), write: (line) => said.push(line) }, { level: "warn" });
  const [a, b, c] = [await store("a"), await store("b"), await store("c")];
  put(plan("f", "r1", a));
  put(plan("g", "r1", b));
  preload = createBundlePreload({ launches: plans, bundles, log, metrics });
  preload.open();
  await until("it is told", () => said.length > 0);
  put(plan("h", "r1", c));
  await until("the next is tried", () => tried.includes(c));
  assert.deepEqual([tried, said.length], [[a, c], 2]);
});

test("a request ends the compiling of what it wants, and what it fetches itself is not compiled", async () => {
  await start();
  slowly = true;
  const [ahead, own] = [await store("ahead"), await store("own")];
  (await cache.hold("acme", own)).release();
  assert.equal(compiling, undefined);
  put(plan("f", "r1", ahead));
  await until("it is being compiled", () => compiling === "begun");
  (await cache.hold("acme", ahead)).release();
  assert.equal(compiling, "ended");
});

test("close ends compiling", async () => {
  await start();
  slowly = true;
  put(plan("f", "r1", await store("ahead")));
  await until("it is being compiled", () => compiling === "begun");
  await preload.close();
  assert.equal(compiling, "ended");
});

test("close ends what what is under way, also where the store hangs, and nothing is begun any more", async () => {
  await start();
  const [hanging, next] = [await store("hanging"), await store("next")];
  gates.set(hanging, new Promise(() => {}));
  put(plan("f", "r1", hanging));
  put(plan("g", "r1", next));
  await until("it is being fetched", () => asked.includes(hanging));
  await preload.close();
  put(plan("h", "r1", next));
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual([asked, cache.digests(), said], [[hanging], [], []]);
});
