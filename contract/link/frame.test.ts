import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom, type Random } from "#base/random.ts";
import {
  decodePreamble,
  encodeFrame,
  encodePreamble,
  FLAG_FIN,
  FLAG_LAST,
  type Frame,
  FrameError,
  FrameReader,
  HEADER_BYTES,
  LINK_KINDS,
  type LinkKind,
  MAXIMUM_PAYLOAD,
  MAXIMUM_STREAM,
} from "./frame.ts";

interface Plain {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly head: string;
  readonly body: string;
}

function plain(frame: Frame): Plain {
  const { type, flags, stream, head } = frame;
  assert.equal(frame.bodyBytes, frame.body.length);
  return { type, flags, stream, head, body: frame.body.toString("hex") };
}

function randomFrame(random: Random): Plain {
  const size = random.below(4) === 0 ? random.below(5_000) : random.below(40);
  return {
    type: random.below(256),
    flags: random.below(256),
    stream: random.below(2) === 0 ? random.below(10) : MAXIMUM_STREAM - random.below(10),
    head: random.below(3) === 0 ? "" : JSON.stringify({ text: "ü🐦".repeat(random.below(20)) }),
    body: random.bytes(size).toString("hex"),
  };
}

function encode({ type, flags, stream, head, body }: Plain): Buffer {
  return encodeFrame(type, flags, stream, head, Buffer.from(body, "hex"));
}

test("preambles of all kinds come back as they went", () => {
  for (const kind of Object.keys(LINK_KINDS) as LinkKind[])
    assert.deepEqual(decodePreamble(encodePreamble(kind, 3)), { kind, version: 3 });
});

test("frames cut in any way come out the same", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = createSeededRandom(seed);
  for (let round = 0; round < 60; round++) {
    const frames = Array.from({ length: 1 + random.below(8) }, () => randomFrame(random));
    const bytes = Buffer.concat(frames.map(encode));
    const found: Plain[] = [];
    const reader = new FrameReader((frame) => found.push(plain(frame)));
    const longest = round % 3 === 0 ? 1 : 1 + random.below(300);
    for (let from = 0; from < bytes.length; ) {
      const size = 1 + random.below(longest);
      // A copy each time, as sockets give them.
      reader.push(Buffer.from(bytes.subarray(from, from + size)));
      from += size;
    }
    assert.deepEqual(found, frames, `SEED=${seed}, round ${round}`);
  }
});

test("a frame is told as soon as its last byte is there, not before", () => {
  const bytes = encodeFrame(1, FLAG_FIN | FLAG_LAST, 7, "{}", Buffer.from("abc"));
  let told: Frame | undefined;
  const reader = new FrameReader((frame) => {
    told = frame;
  });
  for (const byte of bytes.subarray(0, -1)) reader.push(Buffer.from([byte]));
  assert.equal(told, undefined);
  reader.push(bytes.subarray(-1));
  assert.equal(told!.body.toString(), "abc");
  assert.ok(told!.fin && told!.last);
  assert.equal(encodeFrame(1, 0, 7, "", null).length, HEADER_BYTES);
});

test("the largest frame passes; one byte more is refused by both sides", () => {
  const body = Buffer.alloc(MAXIMUM_PAYLOAD - 2);
  const frames: Frame[] = [];
  const reader = new FrameReader((frame) => frames.push(frame));
  reader.push(encodeFrame(1, 0, 1, "{}", body));
  assert.equal(frames[0]!.bodyBytes, body.length);
  assert.throws(() => encodeFrame(1, 0, 1, "{ }", body), FrameError);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(MAXIMUM_PAYLOAD + 1, 0);
  assert.throws(() => reader.push(header), /over 1048576/);
});

test("a breach is noticed with the header, whatever is cut where", () => {
  const bad = encodeFrame(1, 0, 1, "", Buffer.from("abc"));
  bad.writeUInt32BE(4, 10);
  const reader = new FrameReader(() => assert.fail("no frame"));
  for (const byte of bad.subarray(0, HEADER_BYTES - 1)) reader.push(Buffer.from([byte]));
  assert.throws(() => reader.push(bad.subarray(HEADER_BYTES - 1, HEADER_BYTES)), /a head of 4 bytes in a frame of 3/);
});

test("frames before a breach are told", () => {
  const bad = Buffer.alloc(HEADER_BYTES, 0xff);
  const types: number[] = [];
  const reader = new FrameReader((frame) => types.push(frame.type));
  assert.throws(() => reader.push(Buffer.concat([encodeFrame(5, 0, 0, "", null), bad])), FrameError);
  assert.deepEqual(types, [5]);
});

test("fuzz: noise is frames or a FrameError, never something else", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = createSeededRandom(seed);
  for (let round = 0; round < 2_000; round++) {
    const reader = new FrameReader((frame) => void [frame.head, frame.body]);
    const noise = random.below(2) === 0 ? random.bytes(random.below(60)) : encode(randomFrame(random));
    if (noise.length > 0) noise[random.below(Math.min(noise.length, HEADER_BYTES))] = random.below(256);
    try {
      reader.push(noise);
    } catch (error) {
      assert.ok(error instanceof FrameError, `SEED=${seed}, round ${round}: ${error}`);
    }
  }
});
