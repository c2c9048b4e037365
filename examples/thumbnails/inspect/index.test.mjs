import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import inspect from "./index.mjs";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc");
const media = (name) => readFileSync(new URL(`../samples/${name}`, import.meta.url));

function post(body) {
  return inspect.fetch(new Request("http://localhost/inspect", { method: "POST", body, duplex: "half" }));
}

async function* pieces(bytes, size) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

test("it tells format, size, length and digest", async () => {
  const bytes = media("photo.png");
  const response = await post(bytes);
  assert.deepEqual(await response.json(), {
    format: "png",
    width: 336,
    height: 224,
    bytes: bytes.length,
    sha256: createHash("sha256").update(bytes).digest("hex"),
  });
});

test("however the body is cut, the answer is the same", async () => {
  const cases = [
    ["photo.jpg", "jpeg", 960, 640],
    ["rotated.jpg", "jpeg", 360, 240],
    ["photo.png", "png", 336, 224],
    ["lossy.webp", "webp", 60, 40],
    ["lossless.webp", "webp", 60, 40],
    ["extended.webp", "webp", 60, 40],
    ["small.gif", "gif", 60, 40],
  ];
  for (const [name, format, width, height] of cases) {
    const bytes = media(name);
    const whole = await (await post(bytes)).json();
    assert.deepEqual([whole.format, whole.width, whole.height], [format, width, height]);
    for (const size of [1, 7, 1000]) {
      assert.deepEqual(
        await (await post(ReadableStream.from(pieces(bytes, size)))).json(),
        whole,
        `${name} by ${size}`,
      );
    }
  }
});

test("what is not an image is refused", async () => {
  const refused = async (body, status, message) => {
    const response = await post(body);
    assert.equal(response.status, status);
    assert.match((await response.json()).error, message);
  };
  await refused(media("not-an-image.png"), 415, /does not begin as a PNG, JPEG, WebP or GIF/);
  await refused(media("photo.jpg").subarray(0, 40), 415, /does not begin/);
  await refused(media("photo.png").fill(0, 16, 20), 415, /does not begin/);
  await refused(Buffer.from("ffd8ffe00000ffd9ffd9ffd9", "hex"), 415, /does not begin/);
  await refused(null, 400, /send its bytes as the body/);
});

test("50 MB pass through with a few held", async () => {
  const start = media("photo.jpg");
  const chunk = Buffer.alloc(64 * 1024, 7);
  const chunks = 800;
  let peak = 0;
  async function* body() {
    yield start;
    for (let sent = 0; sent < chunks; sent++) {
      yield Buffer.from(chunk);
      peak = Math.max(peak, sent % 50 === 0 ? heldNow() : 0);
    }
  }
  // Buffers not yet collected count too, so collect before measuring: what remains is really held.
  const heldNow = () => {
    collectGarbage();
    return process.memoryUsage().arrayBuffers;
  };
  const before = heldNow();
  const answer = await (await post(ReadableStream.from(body()))).json();
  assert.equal(answer.bytes, start.length + chunks * chunk.length);
  assert.equal(answer.width, 960);
  assert.ok(peak - before < 4 * 1024 * 1024, `${Math.round((peak - before) / 1024)} KiB were held`);
});
