import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import { type Client, digestOf, type Medium, makeMedium, startControl, type TestControl, TOKEN } from "./fixture.ts";
import { UnfinishedUploads } from "./unfinished-uploads.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const BODY = Buffer.from(Array.from({ length: 64 * KIB }, (_, index) => (index * 7) % 251));
const DIGEST = digestOf(BODY);

describe("uploads in pieces", () => {
  let folder: string;
  let clock: SimulatedClock;
  let uploads: UnfinishedUploads;
  let finished: Buffer[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "colibri-unfinished-"));
    clock = new SimulatedClock();
    uploads = new UnfinishedUploads({ clock }, { folder, tenantBytes: 256 * KIB });
    finished = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  const finish = async (path: string): Promise<void> => void finished.push(await readFile(path));
  const send = (offset: number, source: Readable, totalBytes = BODY.length, digest: Digest = DIGEST) =>
    uploads.append("default", digest, { offset, totalBytes, source }, finish);
  const piece = (from: number, to: number) => Readable.from([BODY.subarray(from, to)]);
  const left = async () => (await readdir(join(folder, "default")).catch(() => [])).length;

  /** Sends this much, and then its connection is cut. */
  const cut = async (from: number, to: number, digest = DIGEST): Promise<void> => {
    const source = Readable.from(
      (async function* () {
        yield BODY.subarray(from, to);
        throw new Error("cut");
      })(),
    );
    await assert.rejects(send(from, source, BODY.length, digest), /cut/);
  };

  test("what came before a cut stays, and the rest makes it whole", async () => {
    assert.equal(await uploads.offset("default", DIGEST), 0);
    await cut(0, 10_000);
    assert.equal(await uploads.offset("default", DIGEST), 10_000);
    assert.equal(await send(10_000, piece(10_000, 30_000)), 30_000);
    assert.equal(finished.length, 0);
    assert.equal(await send(30_000, piece(30_000, BODY.length)), BODY.length);
    assert.equal(Buffer.compare(finished[0]!, BODY), 0);
    assert.equal(await left(), 0);
  });

  test("another process goes on with what the first left", async () => {
    await cut(0, 12_345);
    const next = new UnfinishedUploads({ clock }, { folder, tenantBytes: 256 * KIB });
    assert.equal(await next.offset("default", DIGEST), 12_345);
    const rest = { offset: 12_345, totalBytes: BODY.length, source: piece(12_345, BODY.length) };
    assert.equal(await next.append("default", DIGEST, rest, finish), BODY.length);
    assert.equal(Buffer.compare(finished[0]!, BODY), 0);
  });

  test("a piece that does not begin where the upload stands is refused and changes nothing", async () => {
    await cut(0, 10_000);
    for (const offset of [0, 9_999, 10_001])
      await assert.rejects(send(offset, piece(offset, 20_000)), /stands at byte 10000, and Upload-Offset says/);
    assert.equal(await uploads.offset("default", DIGEST), 10_000);
  });

  test("more than was said is refused; what went before is kept", async () => {
    await assert.rejects(send(0, piece(0, 2_000), 1_000), /More came than the 1000 bytes/);
    assert.equal(await uploads.offset("default", DIGEST), 0);
  });

  test("the last piece may be empty: all had come, and then control was killed", async () => {
    await cut(0, BODY.length);
    assert.equal(await send(BODY.length, Readable.from([])), BODY.length);
    assert.equal(finished.length, 1);
  });

  test("a file whose bytes are wrong goes; one that could not be stored just now stays", async () => {
    const failing = (code: "digest-mismatch" | "store-unavailable") =>
      uploads.append("default", DIGEST, { offset: 0, totalBytes: 100, source: piece(0, 100) }, () =>
        Promise.reject(new PlatformError(code, code)),
      );
    await assert.rejects(failing("digest-mismatch"));
    assert.equal(await uploads.offset("default", DIGEST), 0);
    await assert.rejects(failing("store-unavailable"));
    assert.equal(await uploads.offset("default", DIGEST), 100);
  });

  test("one writer at a time; one that is silent makes room", async () => {
    const first = new PassThrough();
    const sending = send(0, first).catch((error: Error) => error.message);
    first.write(BODY.subarray(0, 1_000));
    while ((await uploads.offset("default", DIGEST)) < 1_000) await new Promise(setImmediate);
    await assert.rejects(send(1_000, piece(1_000, 2_000)), /Another request is sending this archive now/);
    await clock.advance(5_000);
    assert.equal(await send(1_000, piece(1_000, 2_000)), 2_000);
    assert.match(String(await sending), /another request goes on with this upload/);
  });

  test("of several that take over at once, one does", async () => {
    const first = new PassThrough();
    const sending = send(0, first).catch(() => "ended");
    await clock.advance(5_000);
    const outcomes = await Promise.allSettled([0, 1, 2].map(() => send(0, piece(0, BODY.length))));
    assert.equal(await sending, "ended");
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 1);
    assert.equal(Buffer.compare(finished[0]!, BODY), 0);
  });

  test("those longest untouched make room, by bytes and by number", async () => {
    const digests = Array.from({ length: 6 }, (_, index) => digestOf(Buffer.from(String(index))));
    for (const digest of digests) {
      await cut(0, 50 * KIB, digest);
      await clock.advance(1_000);
    }
    const offsets = await Promise.all(digests.map((digest) => uploads.offset("default", digest)));
    assert.deepEqual(offsets, [0, 0, ...Array(4).fill(50 * KIB)]);
    const many = Array.from({ length: 70 }, (_, index) => digestOf(Buffer.from(`many ${index}`)));
    for (const digest of many) await cut(0, 1, digest);
    assert.ok((await left()) <= 64);
  });

  test("what is being written is not removed to make room: the newcomer waits", async () => {
    const first = new PassThrough();
    const busy = digestOf(Buffer.from("busy"));
    const sending = send(0, first, 200 * KIB, busy).catch(() => {});
    first.write(Buffer.alloc(200 * KIB));
    while ((await uploads.offset("default", busy)) < 200 * KIB) await new Promise(setImmediate);
    await assert.rejects(send(0, piece(0, 1)), /Too much is being uploaded at once/);
    first.destroy();
    await sending;
    assert.equal(await send(0, piece(0, 1)), 1);
  });

  test("the sweep takes what nobody touched", async () => {
    await cut(0, 10);
    await clock.advance(1_000);
    const other = digestOf(Buffer.from("other"));
    await cut(0, 10, other);
    await uploads.sweep(clock.now() - 500);
    assert.deepEqual([await uploads.offset("default", DIGEST), await uploads.offset("default", other)], [0, 10]);
  });
});

describe("uploads in pieces over HTTP", () => {
  let medium: Medium;
  let running: TestControl;
  let client: Client;
  before(async () => {
    medium = await makeMedium("sqlite");
    running = await startControl(medium, { uploadBytes: MIB });
    client = running.client;
  });
  after(async () => {
    await running.control.close();
    await medium.remove();
  });

  const headersOf = (offset: number, bytes = BODY.length) => ({
    "upload-offset": String(offset),
    "upload-length": String(bytes),
  });
  const patch = (offset: number, body: Uint8Array, digest = DIGEST, bytes = BODY.length) =>
    client.ask("appendUpload", { params: { digest }, headers: headersOf(offset, bytes), body });
  const stands = async () => {
    const { status, headers } = await client.ask("checkUpload", { params: { digest: DIGEST } });
    return [status, headers.get("upload-offset")];
  };

  test("cut, asked about, gone on with, whole", async () => {
    assert.deepEqual(await stands(), [404, null]);
    const path = `/v1/tenants/default/uploads/${DIGEST}`;
    const headers = { ...headersOf(0), authorization: `Bearer ${TOKEN}`, "content-length": BODY.length };
    const asked = request({ port: running.port, method: "PATCH", path, headers });
    asked.on("error", () => {});
    asked.write(BODY.subarray(0, 20_000));
    while ((await stands())[1] !== "20000") await new Promise(setImmediate);
    asked.destroy();
    let answer = await patch(20_000, BODY.subarray(20_000, 40_000));
    // Until control has noticed the cut, the first still counts as the writer.
    while (answer.status === 409) answer = await patch(20_000, BODY.subarray(20_000, 40_000));
    assert.deepEqual([answer.status, answer.headers.get("upload-offset")], [204, "40000"]);
    assert.equal((await patch(40_000, BODY.subarray(40_000))).status, 201);
    assert.deepEqual(await stands(), [204, null]);
    const kept = await running.blobs.get("default", DIGEST);
    assert.equal(Buffer.compare(Buffer.concat(await Array.fromAsync(kept!)), BODY), 0);
    assert.equal((await patch(0, BODY)).status, 201, "it is there");
  });

  test("what is wrong is refused", async () => {
    const other = digestOf(Buffer.from("other"));
    const cases = [
      [await patch(5, BODY, other), 409, "conflict"],
      [await patch(0, BODY, other), 400, "digest-mismatch"],
      [await patch(0, BODY, other, 10), 400, "request-invalid"],
      [await patch(0, BODY, other, 2 * MIB), 413, "archive-too-large"],
      [await client.ask("appendUpload", { params: { digest: other }, body: BODY }), 400, "request-invalid"],
      [await patch(-1, BODY, other), 400, "request-invalid"],
      [await client.as("none").ask("appendUpload", { params: { digest: other }, headers: headersOf(0) }), 401],
    ] as const;
    for (const [{ status, body }, expected, code] of cases) {
      assert.equal(status, expected, JSON.stringify(body));
      if (code !== undefined) assert.equal(body.code, code);
    }
    assert.deepEqual(await readdir(join(medium.uploads, "default")), []);
  });
});
