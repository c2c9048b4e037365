import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom } from "#base/random.ts";
import { encodeFrame, FrameError, MAXIMUM_PAYLOAD } from "./frame.ts";
import { FrameWriter } from "./frame-writer.ts";

test("writes the bytes that encodeFrame writes, whatever the sizes and however often it is emptied", () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = createSeededRandom(seed);
  const writer = new FrameWriter();
  const sizes = [0, 1, 100, 4_095, 4_096, 4_097, 70_000];
  for (let round = 0; round < 100; round++) {
    const expected: Buffer[] = [];
    for (let count = random.below(12); count >= 0; count--) {
      const size = sizes[random.below(sizes.length)]!;
      const body = random.below(4) === 0 ? null : Buffer.alloc(size, random.below(256));
      const head = random.below(3) === 0 ? "" : JSON.stringify("ü🐦x".repeat(random.below(600)));
      const [type, flags, stream] = [random.below(256), random.below(4), random.below(2 ** 32)];
      writer.append(type, flags, stream, head, body);
      expected.push(encodeFrame(type, flags, stream, head, body));
    }
    const whole = Buffer.concat(expected);
    assert.equal(writer.bytes, whole.length, `SEED=${seed}, round ${round}`);
    assert.ok(Buffer.concat(writer.take()).equals(whole), `SEED=${seed}, round ${round}`);
    assert.equal(writer.bytes, 0);
    assert.deepEqual(writer.take(), []);
  }
});

test("what was taken stays as it is while more is written", () => {
  const writer = new FrameWriter();
  writer.append(1, 0, 1, "first", Buffer.from("one"));
  const taken = writer.take();
  const before = Buffer.concat(taken);
  for (let count = 0; count < 2_000; count++) writer.append(2, 0, 2, "other", Buffer.alloc(90, 7));
  assert.ok(Buffer.concat(taken).equals(before));
});

test("small frames of one turn leave in one piece", () => {
  const writer = new FrameWriter();
  for (let stream = 1; stream <= 100; stream++) writer.append(1, 0, stream, "{}", Buffer.from("abc"));
  assert.equal(writer.take().length, 1);
});

test("a head larger than a slab fits, and a frame over the maximum is refused and leaves nothing", () => {
  const writer = new FrameWriter();
  const head = JSON.stringify("h".repeat(200_000));
  writer.append(1, 0, 1, head, null);
  assert.ok(Buffer.concat(writer.take()).equals(encodeFrame(1, 0, 1, head, null)));
  assert.throws(() => writer.append(1, 0, 1, "{}", Buffer.alloc(MAXIMUM_PAYLOAD)), FrameError);
  assert.equal(writer.bytes, 0);
  writer.append(1, 0, 1, "", null);
  assert.ok(Buffer.concat(writer.take()).equals(encodeFrame(1, 0, 1, "", null)));
});
