import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import type { Digest } from "#contract/digest.ts";
import { PlatformError } from "#contract/errors.ts";
import {
  type Client,
  digestOf,
  type Medium,
  makeMedium,
  startControl,
  type TestControl,
  TOKEN,
} from "./control.fixture.ts";
import { UnfinishedUploads } from "./unfinished-uploads.ts";

const KIB = 1024;
const MIB = 1024 * KIB;
const BODY = Buffer.from(Array.from({ length: 64 * KIB }, (_, index) => (index * 7) % 251));
const DIGEST = digestOf(BODY);
/** More than sockets hold. */
const MORE = Buffer.alloc(24 * MIB);
const BOUNDS = { tenant: { number: 64, bytes: 256 * KIB }, all: { number: 100, bytes: 1 * MIB } };

describe("uploads in pieces", () => {
  let folder: string;
  let clock: SimulatedClock;
  let uploads: UnfinishedUploads;
  let finished: Buffer[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "colibri-unfinished-"));
    clock = new SimulatedClock();
    uploads = new UnfinishedUploads({ clock }, { folder, ...BOUNDS });
    finished = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  const finish = async (path: string): Promise<void> => void finished.push(await readFile(path));
  const send = (offset: number, source: Readable, totalBytes = BODY.length, digest: Digest = DIGEST) =>
    uploads.append("default", digest, { offset, totalBytes, source }, finish);
  const piece = (from: number, to: number) => Readable.from([BODY.subarray(from, to)]);
  const stands = async (digest: Digest = DIGEST, of = uploads, tenant = "default") =>
    (await of.standing(tenant, digest))?.offset ?? 0;
  const left = async () => (await readdir(join(folder, "default")).catch(() => [])).length;

  /** Somebody waits for what it will give. */
  const awaited = async (source: Readable, isOver = () => false): Promise<void> => {
    while (source.listenerCount("readable") === 0 && !isOver()) await new Promise(setImmediate);
  };
  /** So many uploads by somebody who sends a byte of each and no more. */
  const stall = async (number: number, tenant = "default") => {
    const stalled = Array.from({ length: number }, (_, index) => {
      const source = new PassThrough();
      const digest = digestOf(Buffer.from(`${tenant} ${index}`));
      source.write("x");
      let over = false;
      const ended = uploads
        .append(tenant, digest, { offset: 0, totalBytes: 100, source }, finish)
        .then(
          () => "ended",
          (error: PlatformError) => error.code,
        )
        .finally(() => {
          over = true;
        });
      return { source, ended, isOver: () => over };
    });
    for (const { source } of stalled) await awaited(source);
    return stalled;
  };

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
    assert.equal(await stands(), 0);
    await cut(0, 10_000);
    assert.equal(await stands(), 10_000);
    assert.equal(await send(10_000, piece(10_000, 30_000)), 30_000);
    assert.equal(finished.length, 0);
    assert.equal(await send(30_000, piece(30_000, BODY.length)), BODY.length);
    assert.equal(Buffer.compare(finished[0]!, BODY), 0);
    assert.equal(await left(), 0);
  });

  test("another process goes on with what the first left", async () => {
    await cut(0, 12_345);
    const next = new UnfinishedUploads({ clock }, { folder, ...BOUNDS });
    assert.equal(await stands(DIGEST, next), 12_345);
    const rest = { offset: 12_345, totalBytes: BODY.length, source: piece(12_345, BODY.length) };
    assert.equal(await next.append("default", DIGEST, rest, finish), BODY.length);
    assert.equal(Buffer.compare(finished[0]!, BODY), 0);
  });

  test("a piece that does not begin where the upload stands is refused and changes nothing", async () => {
    await cut(0, 10_000);
    for (const offset of [0, 9_999, 10_001])
      await assert.rejects(send(offset, piece(offset, 20_000)), /stands at byte 10000, and Upload-Offset says/);
    assert.equal(await stands(), 10_000);
  });

  test("more than was said is refused; what went before is kept", async () => {
    await assert.rejects(send(0, piece(0, 2_000), 1_000), /More came than the 1000 bytes/);
    assert.equal(await stands(), 0);
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
    assert.equal(await stands(), 0);
    await assert.rejects(failing("store-unavailable"));
    assert.equal(await stands(), 100);
  });

  test("one writer at a time; one that is silent makes room", async () => {
    const first = new PassThrough();
    const sending = send(0, first).catch((error: Error) => error.message);
    first.write(BODY.subarray(0, 1_000));
    while ((await stands()) < 1_000) await new Promise(setImmediate);
    await awaited(first);
    await assert.rejects(send(1_000, piece(1_000, 2_000)), /Another request is sending this archive now/);
    await clock.advance(5_000);
    assert.equal(await send(1_000, piece(1_000, 2_000)), 2_000);
    assert.match(String(await sending), /Another request goes on with this upload/);
  });

  test("of several that take over at once, one does", async () => {
    const first = new PassThrough();
    const sending = send(0, first).catch(() => "ended");
    await awaited(first);
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
    const offsets = await Promise.all(digests.map((digest) => stands(digest)));
    assert.deepEqual(offsets, [0, 0, ...Array(4).fill(50 * KIB)]);
    const many = Array.from({ length: 70 }, (_, index) => digestOf(Buffer.from(`many ${index}`)));
    for (const digest of many) {
      await cut(0, 1, digest);
      await clock.advance(1_000);
    }
    assert.equal(await left(), 64);
    const kept = await Promise.all(many.map((digest) => stands(digest)));
    assert.deepEqual(kept, [...Array(6).fill(0), ...Array(64).fill(1)]);
  });

  test("one that is gone on with is bounded too, and makes room of those longest untouched", async () => {
    const [first, second] = ["first", "second"].map((text) => digestOf(Buffer.from(text)));
    const part = (offset: number, bytes: number, digest: Digest) =>
      send(offset, Readable.from([Buffer.alloc(bytes)]), 200 * KIB, digest);
    await part(0, 50 * KIB, first!);
    await clock.advance(1_000);
    await part(0, 50 * KIB, second!);
    assert.equal(await part(50 * KIB, 100 * KIB, first!), 150 * KIB);
    assert.deepEqual([await stands(first), await stands(second)], [150 * KIB, 50 * KIB]);
    await assert.rejects(
      () => part(50 * KIB, 140 * KIB, second!).then(() => part(150 * KIB, 1, first!)),
      /stands at byte 0, and Upload-Offset says 153600/,
    );
    assert.equal(await stands(second), 190 * KIB);
  });

  test("the length of the whole is that of the first piece, also for another process", async () => {
    await cut(0, 10_000);
    const next = new UnfinishedUploads({ clock }, { folder, ...BOUNDS });
    for (const these of [uploads, next])
      for (const totalBytes of [10_000, 10_001, BODY.length - 1, BODY.length + 1]) {
        const given = { offset: 10_000, totalBytes, source: piece(10_000, 10_001) };
        await assert.rejects(these.append("default", DIGEST, given, finish), (error: PlatformError) => {
          assert.equal(error.code, "request-invalid");
          assert.match(
            error.message,
            new RegExp(`began with an Upload-Length of 65536, and now it says ${totalBytes}:`),
          );
          return true;
        });
      }
    assert.deepEqual(await uploads.standing("default", DIGEST), { offset: 10_000, totalBytes: BODY.length });
    assert.deepEqual([finished.length, await left()], [0, 1]);
  });

  test("slow ones do not shut their tenant out: after five seconds they make room, after thirty they are over", async () => {
    const stalled = await stall(64);
    await assert.rejects(send(0, piece(0, 1)), /Too much is being uploaded at once/);
    // A byte now and then is no progress.
    const trickle = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        await clock.advance(1_000);
        for (const { source } of stalled) source.write("x");
        // Read, so that it is waited for the next.
        for (const { source, isOver } of stalled) {
          while (source.readableLength > 0 && !isOver()) await new Promise(setImmediate);
          await awaited(source, isOver);
        }
      }
    };
    await trickle(5);
    assert.equal(await send(0, piece(0, BODY.length)), BODY.length);
    const ended = await Promise.race(stalled.map(({ ended }) => ended));
    assert.equal(ended, "unavailable");
    assert.equal(await left(), 63);
    await trickle(26);
    const codes = await Promise.all(stalled.map(({ ended }) => ended));
    assert.equal(codes.filter((code) => code === "request-timeout").length, 63);
    assert.equal(await left(), 63, "what came of them stays");
    assert.ok(
      stalled.every(({ source }) => !source.destroyed),
      "its sender can still be answered",
    );
  });

  test("whoever gets on, however long it takes, is left alone", async () => {
    const source = new PassThrough();
    const sending = send(0, source);
    for (let at = 0; at < BODY.length; at += 4 * KIB) {
      await awaited(source);
      await clock.advance(4_900);
      source.write(BODY.subarray(at, at + 4 * KIB));
      while ((await stands()) < Math.min(at + 4 * KIB, BODY.length)) await new Promise(setImmediate);
      await assert.rejects(send(0, piece(0, 1)), /Another request is sending this archive now/);
    }
    source.end();
    assert.equal(await sending, BODY.length);
  });

  test("a hundred at once are no more than their tenant may have", async () => {
    const sources: PassThrough[] = [];
    const endings: Promise<unknown>[] = [];
    const outcomes = await Promise.allSettled(
      Array.from({ length: 100 }, (_, index) => {
        const source = new PassThrough();
        sources.push(source);
        source.write("x");
        const digest = digestOf(Buffer.from(String(index)));
        let isOver = false;
        const ended = uploads.append("default", digest, { offset: 0, totalBytes: 10, source }, finish).finally(() => {
          isOver = true;
        });
        endings.push(ended.catch(() => {}));
        return Promise.race([ended, awaited(source, () => isOver)]);
      }),
    );
    assert.equal(outcomes.filter(({ status }) => status === "rejected").length, 36);
    assert.equal(await left(), 64);
    for (const source of sources) source.destroy();
    await Promise.all(endings);
  });

  test("many tenants together are bounded: those longest untouched make room, whosever they are", async () => {
    const together = new UnfinishedUploads({ clock }, { folder, ...BOUNDS, all: { number: 20, bytes: MIB } });
    const tenants = Array.from({ length: 8 }, (_, index) => `t${index}`);
    for (const tenant of tenants)
      for (const text of ["a", "b", "c", "d"]) {
        const given = { offset: 0, totalBytes: 10, source: Readable.from([Buffer.from("x")]) };
        await together.append(tenant, digestOf(Buffer.from(text)), given, finish);
        await clock.advance(1_000);
      }
    const of = async (tenant: string) => (await readdir(join(folder, tenant))).length;
    const numbers = await Promise.all(tenants.map(of));
    assert.deepEqual(numbers, [...Array(3).fill(0), ...Array(5).fill(4)]);
    await together.sweep(clock.now() - 8_000);
    assert.deepEqual(await readdir(folder), ["t6", "t7"], "folders of nothing go with the sweep");
  });

  test("what is being written is not removed to make room: the newcomer waits", async () => {
    const first = new PassThrough();
    const busy = digestOf(Buffer.from("busy"));
    const sending = send(0, first, 200 * KIB, busy).catch(() => {});
    first.write(Buffer.alloc(200 * KIB));
    while ((await stands(busy)) < 200 * KIB) await new Promise(setImmediate);
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
    assert.deepEqual([await stands(), await stands(other)], [0, 10]);
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

  test("of many that send the same at once one is stored; the others are told, also who looks only when all is sent", async () => {
    const body = Buffer.alloc(MIB, "many");
    const digest = digestOf(body);
    const path = `/v1/tenants/default/uploads/${digest}`;
    const headers = { ...headersOf(0, MIB), authorization: `Bearer ${TOKEN}` };
    const first = request({
      port: running.port,
      method: "PATCH",
      path,
      headers: { ...headers, "content-length": MIB },
    });
    const answered = once(first, "response");
    first.write(body.subarray(0, 10));
    const standing = () => client.ask("checkUpload", { params: { digest } });
    while ((await standing()).headers.get("upload-offset") !== "10") await new Promise(setImmediate);
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const socket = connect(running.port, "127.0.0.1").pause();
        const lines = Object.entries({ ...headers, host: "localhost", "content-length": MORE.length });
        socket.write(`PATCH ${path} HTTP/1.1\r\n${lines.map(([name, text]) => `${name}: ${text}\r\n`).join("")}\r\n`);
        await new Promise<void>((resolve, reject) => {
          socket.on("error", reject);
          socket.write(MORE, () => resolve());
        });
        return Buffer.concat(await socket.toArray()).toString();
      }),
    );
    for (const answer of answers)
      assert.match(answer, /^HTTP\/1.1 409 [\s\S]*connection: close[\s\S]*Another request is sending this archive now/);
    first.end(body.subarray(10));
    const [{ statusCode }] = await answered;
    assert.equal(statusCode, 201);
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
      ...(await Promise.all(
        ["", "0x10", "1e1", "+5", "5.0", "0, 0", "9".repeat(17)].map(async (text) => {
          const headers = { "upload-offset": text, "upload-length": String(BODY.length) };
          const swapped = { "upload-offset": "0", "upload-length": text };
          const answers = [headers, swapped].map((headers) =>
            client.ask("appendUpload", { params: { digest: other }, headers, body: BODY }),
          );
          return Promise.all(answers);
        }),
      ).then((all) => all.flat().map((answer) => [answer, 400, "request-invalid"] as const))),
    ] as const;
    for (const [{ status, body }, expected, code] of cases) {
      assert.equal(status, expected, JSON.stringify(body));
      if (code !== undefined) assert.equal(body.code, code);
    }
    assert.deepEqual(await readdir(join(medium.uploads, "default")), []);
  });
});
