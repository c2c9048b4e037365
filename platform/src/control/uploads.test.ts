import assert from "node:assert/strict";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { after, before, describe, test } from "node:test";
import { createSilentLog } from "#base/log.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { createMemoryBlobs } from "#drivers/blobs/memory/driver.ts";
import { createMemoryStore } from "#drivers/store/memory/driver.ts";
import { content, deploy, fresh, queue } from "#ports/store/sample.ts";
import {
  type Client,
  chunks,
  digestOf,
  type Medium,
  makeMedium,
  startControl,
  type TestControl,
  TOKEN,
} from "./control.fixture.ts";
import { Uploads } from "./uploads.ts";

const MIB = 1024 * 1024;

describe("uploads over HTTP", () => {
  let medium: Medium;
  let running: TestControl;
  let client: Client;
  before(async () => {
    medium = await makeMedium("sqlite");
    running = await startControl(medium, { uploadBytes: 8 * MIB });
    client = running.client;
  });
  after(async () => {
    await running.control.close();
    await medium.remove();
  });
  const stored = async (digest: Digest) => (await client.ask("checkUpload", { params: { digest } })).status;
  const strays = () => readdir(join(medium.folder, "blobs", "incoming"));

  test("an upload is there afterwards, for its tenant; a second one is told so", async () => {
    const body = Buffer.alloc(3 * MIB, "colibri");
    const digest = digestOf(body);
    assert.equal(await stored(digest), 404);
    assert.equal((await client.ask("putUpload", { params: { digest }, body })).status, 201);
    assert.equal(await stored(digest), 204);
    assert.equal((await client.ask("checkUpload", { params: { digest, tenant: "acme" } })).status, 404);
    assert.equal((await client.ask("putUpload", { params: { digest }, body })).status, 204);
    const kept = await running.blobs.get("default", digest);
    assert.equal(Buffer.compare(Buffer.concat(await Array.fromAsync(kept!)), body), 0);
  });

  test("other bytes than the digest names are refused and leave nothing", async () => {
    const digest = digestOf(Buffer.from("something else"));
    const { status, body } = await client.ask("putUpload", { params: { digest }, body: Buffer.from("this") });
    assert.deepEqual([status, body.code], [400, "digest-mismatch"]);
    assert.match(body.detail, new RegExp(`${digestOf(Buffer.from("this"))}, not ${digest}`));
    assert.equal(await stored(digest), 404);
    assert.deepEqual(await strays(), []);
  });

  test("an empty body is not what any archive's digest names, unless it is", async () => {
    const empty = digestOf(Buffer.alloc(0));
    const { status } = await client.ask("putUpload", {
      params: { digest: digestOf(Buffer.from("x")) },
      body: Buffer.alloc(0),
    });
    assert.equal(status, 400);
    assert.equal((await client.ask("putUpload", { params: { digest: empty }, body: Buffer.alloc(0) })).status, 201);
  });

  test("too large an upload is refused, whether it says its size or not, and leaves nothing", async () => {
    const body = Buffer.alloc(9 * MIB, 1);
    const digest = digestOf(body);
    for (const sized of [true, false]) {
      const { status, text } = await put(digest, chunks(body), sized ? { "content-length": body.length } : {});
      assert.equal(status, 413);
      assert.match(text, /"code":"archive-too-large".*larger than 8 MiB/);
    }
    assert.equal(await stored(digest), 404);
    assert.deepEqual(await strays(), []);
  });

  test("an upload that is cut off leaves nothing, and can be made again", async () => {
    const body = Buffer.alloc(2 * MIB, 2);
    const digest = digestOf(body);
    await assert.rejects(put(digest, cutAfter(body, MIB), { "content-length": body.length }));
    // The server learns of the cut when its socket closes; the sweep of what was half written follows in the same turn.
    while ((await strays()).length > 0) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await stored(digest), 404);
    assert.equal((await client.ask("putUpload", { params: { digest }, body })).status, 201);
  });

  test("without a token no byte is taken", async () => {
    const digest = digestOf(Buffer.from("secret"));
    const { status } = await client.as(null).ask("putUpload", { params: { digest }, body: Buffer.from("secret") });
    assert.equal(status, 401);
    assert.equal(await stored(digest), 404);
  });

  function put(digest: Digest, source: AsyncIterable<Uint8Array>, headers: Record<string, string | number>) {
    return new Promise<{ status: number | undefined; text: string }>((resolve, reject) => {
      const path = `/v1/tenants/default/uploads/${digest}`;
      const authorization = `Bearer ${TOKEN}`;
      const asked = request({ port: running.port, method: "PUT", path, headers: { ...headers, authorization } });
      asked.on("response", async (response) => {
        const parts = await Array.fromAsync(response.setEncoding("utf8"));
        resolve({ status: response.statusCode, text: parts.join("") });
      });
      asked.on("error", reject);
      void send(asked, source);
    });
  }
});

async function send(asked: ReturnType<typeof request>, source: AsyncIterable<Uint8Array>): Promise<void> {
  // The server may answer and close before it has read all.
  await pipeline(source, asked).catch(() => {});
}

async function* cutAfter(body: Uint8Array, bytes: number): AsyncGenerator<Uint8Array> {
  yield* chunks(body.subarray(0, bytes));
  throw new Error("the wire was cut");
}

describe("the sweep", () => {
  const DAY = 24 * 3_600_000;

  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "colibri-uploads-"));
  });
  after(() => rm(folder, { recursive: true }));

  async function prepared() {
    const clock = new SimulatedClock();
    const blobs = createMemoryBlobs({ now: () => clock.now() });
    const store = createMemoryStore({ id: "test" });
    await blobs.open(AbortSignal.timeout(1_000));
    await store.open(AbortSignal.timeout(1_000));
    const uploads = new Uploads({ blobs, store, clock, log: createSilentLog() }, { maximumBytes: MIB, folder });
    const put = async (text: string) => {
      const digest = digestOf(Buffer.from(text));
      await uploads.put("default", digest, chunks(Buffer.from(text)));
      return digest;
    };
    const left = async () => (await Array.fromAsync(blobs.list("default"))).map((entry) => entry.digest);
    return { clock, store, uploads, put, left };
  }

  test("what nobody asked for within a day goes; what was asked for stays", async () => {
    const { clock, uploads, put, left } = await prepared();
    await put("forgotten");
    const wanted = await put("wanted");
    await clock.advance(DAY - 1);
    await uploads.sweep();
    assert.equal((await left()).length, 2);
    assert.equal(await uploads.has("default", wanted), true);
    await clock.advance(2);
    await uploads.sweep();
    assert.deepEqual(await left(), [wanted]);
  });

  test("what revisions and running deployments refer to stays", async () => {
    const { clock, store, uploads, left } = await prepared();
    const keep = async (text: string) => {
      const bytes = Buffer.from(text);
      await uploads.put("default", digestOf(bytes), chunks(bytes));
      return digestOf(bytes);
    };
    const [source, bundle, gone] = [await keep("source"), await keep("bundle"), await keep("gone")];
    const sample = fresh("thumbnail");
    assert.ok(sample.kind === "revision");
    const released = { ...sample, content: { ...content("thumbnail"), source, bundle: { digest: bundle, bytes: 6 } } };
    await deploy(store, "D1", [released], { tenant: "default" });
    await queue(store, "D2", ["summary"], { tenant: "default" });
    await clock.advance(2 * DAY);
    await uploads.sweep();
    assert.deepEqual((await left()).sort(), [source, bundle].sort());
    assert.ok(!(await left()).includes(gone));
  });

  test("it runs by itself, every hour", async () => {
    const { clock, uploads, put, left } = await prepared();
    await put("forgotten");
    uploads.open();
    await clock.advance(DAY + 2 * 3_600_000);
    assert.deepEqual(await left(), []);
    await uploads.close();
  });
});
