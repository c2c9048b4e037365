import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, beforeEach, describe, test } from "node:test";
import type { Digest } from "#contract/digest.ts";
import { type ErrorCode, PlatformError } from "#contract/errors.ts";
import type { Blobs, PutOutcome } from "./blobs.ts";

/** What the suite needs beside the port: ways to look and to break things behind the driver's back. */
export interface BlobsFixture {
  /** Constructed, not yet opened. */
  readonly blobs: Blobs;
  /** Changes stored bytes without changing how many there are. */
  corrupt(tenant: string, digest: Digest, at: number): Promise<void>;
  /** What lies about beside whole blobs: must be empty whenever no `put` is under way. */
  strays(): Promise<string[]>;
  /** Another driver on the same medium, constructed, not yet opened. Only asked for where `durable` is claimed. */
  again(): Blobs;
  remove(): Promise<void>;
}

const ROOM = { maximumBytes: 16 * 1024 * 1024 };
const TENANTS_THAT_CANNOT_BE = ["", ".", "..", "a/b", "../a", "A", "a\0", "a b", "-a", "incoming/..", "x".repeat(64)];

export function blobsConformance(name: string, makeFixture: () => Promise<BlobsFixture>): void {
  describe(`blobs conformance: ${name}`, () => {
    let fixture: BlobsFixture;
    let blobs: Blobs;
    beforeEach(async () => {
      fixture = await makeFixture();
      blobs = fixture.blobs;
      await blobs.open(AbortSignal.timeout(10_000));
    });
    afterEach(async () => {
      await blobs.close();
      await fixture.remove();
    });
    const parts: Parts = { blobs: () => blobs, fixture: () => fixture };
    storing(parts);
    refusing(parts);
    reading(parts);
    keeping(parts);
    living(parts, makeFixture);
  });
}

interface Parts {
  readonly blobs: () => Blobs;
  readonly fixture: () => BlobsFixture;
}

function storing({ blobs, fixture }: Parts): void {
  for (const size of [0, 1, 65_536, 1_500_001]) {
    test(`${size} bytes come back as they went in`, async () => {
      const content = pattern(size);
      assert.deepEqual(await put(blobs(), content), { kind: "stored", bytes: size });
      assert.equal(Buffer.compare(await read(blobs(), digestOf(content)), content), 0);
      assert.equal((await blobs().stat("acme", digestOf(content)))?.bytes, size);
      assert.deepEqual(await fixture().strays(), []);
    });
  }

  test("a second put of the same bytes says exists and does not read its source", async () => {
    const content = pattern(100);
    await put(blobs(), content);
    const unread = (async function* (): AsyncGenerator<Uint8Array> {
      yield assert.fail("the source was read");
    })();
    assert.deepEqual(await blobs().put("acme", digestOf(content), unread, ROOM), { kind: "exists" });
  });

  test("puts of the same bytes at the same time all succeed and leave one blob", async () => {
    const content = pattern(300_000);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => put(blobs(), content)));
    for (const outcome of outcomes) assert.ok(outcome.kind === "stored" || outcome.kind === "exists", outcome.kind);
    assert.deepEqual(await listed(blobs(), "acme"), [digestOf(content)]);
    assert.equal(Buffer.compare(await read(blobs(), digestOf(content)), content), 0);
    assert.deepEqual(await fixture().strays(), []);
  });

  test("a source may reuse its buffer", async () => {
    const content = Buffer.concat([Buffer.alloc(1000, 1), Buffer.alloc(1000, 2)]);
    const reused = new Uint8Array(1000);
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      yield reused.fill(1);
      yield reused.fill(2);
    })();
    assert.equal((await blobs().put("acme", digestOf(content), source, ROOM)).kind, "stored");
    reused.fill(9);
    assert.equal(Buffer.compare(await read(blobs(), digestOf(content)), content), 0);
  });
}

function refusing({ blobs, fixture }: Parts): void {
  const leftNothing = async (digest: Digest): Promise<void> => {
    assert.equal(await blobs().has("acme", digest), false);
    assert.equal(await blobs().get("acme", digest), undefined);
    assert.deepEqual(await listed(blobs(), "acme"), []);
    assert.deepEqual(await fixture().strays(), []);
  };

  test("other bytes than the digest names are refused and leave nothing", async () => {
    const digest = digestOf(pattern(10));
    const outcome = await blobs().put("acme", digest, chunks(pattern(11)), ROOM);
    assert.deepEqual(outcome, { kind: "digest-mismatch", actual: digestOf(pattern(11)) });
    await leftNothing(digest);
  });

  test("too many bytes are refused as soon as they are too many, and leave nothing", async () => {
    const content = pattern(1_000_000);
    let yielded = 0;
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks(content, 1000)) {
        yielded += chunk.byteLength;
        yield chunk;
      }
    })();
    const outcome = await blobs().put("acme", digestOf(content), source, { maximumBytes: 5000 });
    assert.deepEqual(outcome, { kind: "too-large" });
    assert.equal(yielded, 6000);
    await leftNothing(digestOf(content));
  });

  test("exactly the maximum is not too many", async () => {
    const content = pattern(5000);
    const outcome = await blobs().put("acme", digestOf(content), chunks(content), { maximumBytes: 5000 });
    assert.deepEqual(outcome, { kind: "stored", bytes: 5000 });
  });

  test("a source that breaks passes its error on and leaves nothing; a later put succeeds", async () => {
    const content = pattern(200_000);
    const broken = new Error("the upload was cut");
    const source = (async function* (): AsyncGenerator<Uint8Array> {
      yield content.subarray(0, 100_000);
      throw broken;
    })();
    await assert.rejects(blobs().put("acme", digestOf(content), source, ROOM), (error) => error === broken);
    await leftNothing(digestOf(content));
    assert.equal((await put(blobs(), content)).kind, "stored");
  });

  test("what is no tenant, digest or range is refused by every method", async () => {
    const digest = digestOf(pattern(1));
    for (const tenant of TENANTS_THAT_CANNOT_BE) await everyMethodRefuses(blobs(), tenant, digest, "request-invalid");
    for (const wrong of ["sha256:../../etc/passwd", "sha256:", digest.toUpperCase()]) {
      await everyMethodRefuses(blobs(), "acme", wrong as Digest, "request-invalid", { except: "list" });
    }
    for (const range of [
      { start: -1, end: 1 },
      { start: 2, end: 1 },
      { start: 0, end: Number.NaN },
      { start: 0.5, end: 1 },
    ]) {
      await assert.rejects(blobs().get("acme", digest, range), failsWith("request-invalid"));
    }
  });
}

function reading({ blobs, fixture }: Parts): void {
  test("ranges are cut out exactly and clipped at the end", async () => {
    const content = pattern(200_000);
    await put(blobs(), content);
    const ranges = [
      [0, 0],
      [0, 1],
      [65_535, 65_537],
      [1, 199_999],
      [199_999, 200_000],
      [150_000, 900_000],
      [200_000, 200_001],
    ] as const;
    for (const [start, end] of ranges) {
      const got = await read(blobs(), digestOf(content), { start, end });
      assert.equal(Buffer.compare(got, content.subarray(start, end)), 0, `${start} to ${end}`);
    }
  });

  for (const [where, at] of [
    ["first", 0],
    ["middle", 150_000],
    ["last", 299_999],
  ] as const) {
    test(`a blob damaged in its ${where} byte ends in an error before all its bytes are given`, async () => {
      const content = pattern(300_000);
      await put(blobs(), content);
      await fixture().corrupt("acme", digestOf(content), at);
      for (const range of [undefined, { start: 10, end: 20 }]) {
        const wanted = range === undefined ? content.byteLength : 10;
        assert.ok((await readUntilCorrupt(blobs(), digestOf(content), range)) < wanted);
      }
    });
  }

  test("a reader may leave early, and what it left can be deleted and stored again", async () => {
    const content = pattern(1_000_000);
    await put(blobs(), content);
    for await (const chunk of (await blobs().get("acme", digestOf(content))) ?? []) {
      assert.ok(chunk.byteLength > 0);
      break;
    }
    assert.equal(await blobs().delete("acme", digestOf(content)), true);
    assert.equal((await put(blobs(), content)).kind, "stored");
  });

  test("a reader who writes into what it got harms no other reader", async () => {
    const content = pattern(1000);
    await put(blobs(), content);
    for await (const chunk of (await blobs().get("acme", digestOf(content))) ?? []) chunk.fill(0);
    assert.equal(Buffer.compare(await read(blobs(), digestOf(content)), content), 0);
  });
}

function keeping({ blobs }: Parts): void {
  test("tenants do not see each other's blobs", async () => {
    const content = pattern(50);
    const digest = digestOf(content);
    await put(blobs(), content, "acme");
    assert.equal(await blobs().has("other", digest), false);
    assert.equal(await blobs().get("other", digest), undefined);
    assert.equal(await blobs().delete("other", digest), false);
    assert.deepEqual(await listed(blobs(), "other"), []);
    assert.equal((await put(blobs(), content, "other")).kind, "stored");
    assert.equal(await blobs().delete("acme", digest), true);
    assert.equal(await blobs().has("other", digest), true);
  });

  test("what is not there is undefined or false", async () => {
    const digest = digestOf(pattern(7));
    assert.equal(await blobs().has("acme", digest), false);
    assert.equal(await blobs().stat("acme", digest), undefined);
    assert.equal(await blobs().get("acme", digest), undefined);
    assert.equal(await blobs().delete("acme", digest), false);
  });

  test("list shows every blob with what stat says of it", async () => {
    const contents = [pattern(1), pattern(20), pattern(300)];
    for (const content of contents) await put(blobs(), content);
    assert.deepEqual(await listed(blobs(), "acme"), contents.map(digestOf).sort());
    for await (const { digest, ...stat } of blobs().list("acme")) {
      assert.deepEqual(stat, await blobs().stat("acme", digest));
      assert.ok(stat.storedAtMs > 0);
    }
  });
}

function living({ blobs, fixture }: Parts, makeFixture: () => Promise<BlobsFixture>): void {
  test("a closed store refuses every call; closing twice is fine", async () => {
    await blobs().close();
    await blobs().close();
    await everyMethodRefuses(blobs(), "acme", digestOf(pattern(1)), "store-unavailable");
  });

  test("a store that is not open refuses every call, and closes after a failed open", async () => {
    const fresh = await makeFixture();
    try {
      await everyMethodRefuses(fresh.blobs, "acme", digestOf(pattern(1)), "store-unavailable");
      await assert.rejects(fresh.blobs.open(AbortSignal.abort(new Error("no"))), /no/);
      await everyMethodRefuses(fresh.blobs, "acme", digestOf(pattern(1)), "store-unavailable");
      await fresh.blobs.close();
    } finally {
      await fresh.remove();
    }
  });

  test("what claims to be durable keeps its blobs", async (context) => {
    if (!blobs().capabilities.durable) return context.skip("not claimed");
    const content = pattern(4000);
    await put(blobs(), content);
    await blobs().close();
    const again = fixture().again();
    await again.open(AbortSignal.timeout(10_000));
    assert.equal(Buffer.compare(await read(again, digestOf(content)), content), 0);
    await again.close();
  });
}

async function everyMethodRefuses(
  blobs: Blobs,
  tenant: string,
  digest: Digest,
  code: ErrorCode,
  options: { except?: "list" } = {},
): Promise<void> {
  const refusal = failsWith(code);
  await assert.rejects(blobs.has(tenant, digest), refusal, `has ${tenant}`);
  await assert.rejects(blobs.stat(tenant, digest), refusal, `stat ${tenant}`);
  await assert.rejects(blobs.get(tenant, digest), refusal, `get ${tenant}`);
  await assert.rejects(blobs.put(tenant, digest, chunks(pattern(1)), ROOM), refusal, `put ${tenant}`);
  await assert.rejects(blobs.delete(tenant, digest), refusal, `delete ${tenant}`);
  if (options.except !== "list") await assert.rejects(listed(blobs, tenant), refusal, `list ${tenant}`);
}

function failsWith(code: ErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof PlatformError && error.code === code;
}

async function readUntilCorrupt(blobs: Blobs, digest: Digest, range?: { start: number; end: number }): Promise<number> {
  let bytes = 0;
  const reading = async (): Promise<void> => {
    for await (const chunk of (await blobs.get("acme", digest, range)) ?? []) bytes += chunk.byteLength;
  };
  await assert.rejects(reading(), failsWith("blob-corrupt"));
  return bytes;
}

function put(blobs: Blobs, content: Uint8Array, tenant = "acme"): Promise<PutOutcome> {
  return blobs.put(tenant, digestOf(content), chunks(content), ROOM);
}

async function read(blobs: Blobs, digest: Digest, range?: { start: number; end: number }): Promise<Buffer> {
  const stream = await blobs.get("acme", digest, range);
  assert.ok(stream, "the blob is missing");
  return Buffer.concat(await Array.fromAsync(stream));
}

async function listed(blobs: Blobs, tenant: string): Promise<Digest[]> {
  return (await Array.fromAsync(blobs.list(tenant))).map((entry) => entry.digest).sort();
}

async function* chunks(content: Uint8Array, size = 64 * 1024): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < content.byteLength; start += size) yield content.subarray(start, start + size);
}

function pattern(size: number): Uint8Array {
  return Uint8Array.from({ length: size }, (_, index) => (index * 31 + (index >> 8)) & 255);
}

function digestOf(content: Uint8Array): Digest {
  return `sha256:${createHash("sha256").update(content).digest("hex")}`;
}
