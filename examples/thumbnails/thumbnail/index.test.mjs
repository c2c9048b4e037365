import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

import { crc32 } from "node:zlib";

const library = await import("sharp").catch(() => undefined);
const skip = library === undefined && "run npm ci --ignore-scripts in this folder first";
const sharp = library?.default;
const thumbnail = library && (await import("./index.mjs")).default;
const media = (name) => readFileSync(new URL(`../samples/${name}`, import.meta.url));

const call = (input, query = {}, params = {}) => thumbnail(input, { request: { query, params } });

async function picture(response) {
  assert.equal(response.status, 200, await response.clone().text());
  const bytes = Buffer.from(await response.arrayBuffer());
  const { format, width, height, hasAlpha, orientation } = await sharp(bytes).metadata();
  assert.equal(response.headers.get("content-type"), `image/${format}`);
  return { bytes, format, width, height, hasAlpha, orientation };
}

async function assertRefused(response, status, message) {
  assert.equal(response.status, status);
  assert.match((await response.json()).error, message);
}

test("a thumbnail keeps the format and shape of its source", { skip }, async () => {
  const jpeg = await picture(await call(media("photo.jpg"), { width: "300" }));
  assert.deepEqual([jpeg.format, jpeg.width, jpeg.height], ["jpeg", 300, 200]);
  const png = await picture(await call(media("photo.png"), { height: "56" }));
  assert.deepEqual([png.format, png.width, png.height, png.hasAlpha], ["png", 84, 56, true]);
});

test("without any option, and without a request, it is 256 wide", { skip }, async () => {
  assert.equal((await picture(await thumbnail(media("photo.jpg"), {}))).width, 256);
});

test("the width may be in the path", { skip }, async () => {
  assert.equal((await picture(await call(media("photo.jpg"), {}, { width: "120" }))).width, 120);
});

test("every format comes out as what it says", { skip }, async () => {
  for (const format of ["png", "jpeg", "webp"]) {
    assert.equal((await picture(await call(media("photo.jpg"), { width: "64", format }))).format, format);
  }
});

test("what it makes it can read", { skip }, async () => {
  const webp = await picture(await call(media("photo.jpg"), { format: "webp" }));
  assert.equal((await picture(await call(webp.bytes, { width: "10" }))).format, "webp");
});

test("the fit decides what two sides mean", { skip }, async () => {
  const sides = { width: "100", height: "100" };
  const sizeFor = async (fit) => {
    const { width, height } = await picture(await call(media("photo.jpg"), { ...sides, ...(fit && { fit }) }));
    return [width, height];
  };
  assert.deepEqual(await sizeFor(undefined), [100, 100]);
  assert.deepEqual(await sizeFor("contain"), [100, 100]);
  assert.deepEqual(await sizeFor("inside"), [100, 67]);
});

test("a photo stored on its side is turned upright", { skip }, async () => {
  const { bytes, width, height, orientation } = await picture(
    await call(media("rotated.jpg"), { width: "100", format: "png" }),
  );
  assert.deepEqual([width, height, orientation], [100, 150, undefined]);
  const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  const red = (x, y) => data[(y * info.width + x) * info.channels];
  assert.ok(red(72, 33) > 240, "the sun is at the top right");
  assert.ok(red(28, 33) < 200, "the top left is sky");
});

test("transparency becomes white where the format has none", { skip }, async () => {
  const { bytes } = await picture(await call(media("photo.png"), { width: "336", format: "jpeg" }));
  const { data } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
  assert.ok(data[0] > 245 && data[1] > 245 && data[2] > 245, `the corner is ${data.subarray(0, 3).join(",")}`);
});

test("four at once in one process don't disturb each other", { skip }, async () => {
  const widths = [40, 80, 120, 160];
  const made = await Promise.all(
    widths.map((width) => call(media("photo.jpg"), { width: String(width) }).then(picture)),
  );
  assert.deepEqual(
    made.map(({ width }) => width),
    widths,
  );
});

test("what is not an image is refused with what to send", { skip }, async () => {
  await assertRefused(await call(media("not-an-image.png")), 415, /send a PNG, JPEG or WebP/);
  await assertRefused(await call("some text"), 415, /Content-Type: image\/png/);
  await assertRefused(await call({ some: "json" }), 415, /Content-Type: image\/png/);
  await assertRefused(await call(Buffer.from("<svg xmlns='http://www.w3.org/2000/svg'/>")), 415, /not an image/);
  await assertRefused(await call(null), 400, /send its bytes as the body/);
  await assertRefused(await call(Buffer.alloc(0)), 400, /send its bytes as the body/);
});

test("a damaged image is refused as such", { skip }, async () => {
  await assertRefused(await call(media("truncated.jpg")), 400, /JPEG image is damaged or cut short/);
  await assertRefused(await call(media("photo.png").subarray(0, 5000)), 400, /PNG image is damaged or cut short/);
  await assertRefused(await call(media("photo.png").subarray(0, 20)), 400, /PNG image is damaged or cut short/);
});

test("options that make no sense name the option and its range", { skip }, async () => {
  const image = media("photo.jpg");
  for (const width of ["0", "-5", "4097", "1e3", "12.5", "", "wide"]) {
    await assertRefused(
      await call(image, { width }),
      400,
      /^width is ".*": use a whole number of pixels from 1 to 4096/,
    );
  }
  await assertRefused(await call(image, {}, { width: "99999" }), 400, /^width is "99999"/);
  await assertRefused(await call(image, { format: "gif" }), 400, /^format is "gif": use png, jpeg or webp/);
  await assertRefused(await call(image, { fit: "best" }), 400, /^fit is "best": use cover/);
  await assertRefused(
    await call(image, { widht: "10" }),
    400,
    /^Unknown option "widht": use width, height, format, fit/,
  );
  await assertRefused(await call(image, { width: ["10", "20"] }), 400, /more than once/);
});

test("an image that would need too much memory is refused before it is decoded", { skip }, async () => {
  const huge = media("photo.png");
  huge.writeUInt32BE(100_000, 16);
  huge.writeUInt32BE(100_000, 20);
  huge.writeUInt32BE(crc32(huge.subarray(12, 29)), 29);
  await assertRefused(await call(huge), 413, /100000 × 100000 pixels: send at most 64 million/);
});

test("a ribbon can't be blown up through the side that follows", { skip }, async () => {
  const ribbon = await sharp({ create: { width: 4, height: 4000, channels: 3, background: "red" } })
    .png()
    .toBuffer();
  await assertRefused(await call(ribbon, { width: "4000" }), 400, /the height of a 4 × 4000 image would be over 4096/);
  assert.equal((await picture(await call(ribbon, { width: "50", height: "50" }))).height, 50);
});
