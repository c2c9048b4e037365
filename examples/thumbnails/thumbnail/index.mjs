// Makes thumbnails: the bytes of a PNG, JPEG or WebP image in, the bytes of a smaller one out.
import sharp from "sharp";
import { MAX_SIDE, Refusal, readOptions } from "./options.mjs";

const MAX_INPUT_PIXELS = 64_000_000;
const QUALITY = readQuality(process.env.QUALITY ?? "80");

// Several invocations share this process and its memory: one thread each, and nothing kept for an image that won't come again.
sharp.concurrency(1);
sharp.cache(false);

/** Options: `?width=&height=&format=png|jpeg|webp&fit=cover|contain|inside|fill`, or the width as `{width}` in the path. */
export default async function thumbnail(input, context) {
  try {
    const options = readOptions(context.request);
    const source = await readSource(input);
    return await render(source, options);
  } catch (error) {
    if (error instanceof Refusal) return Response.json({ error: error.message }, { status: error.status });
    throw error;
  }
}

async function readSource(input) {
  if (input === undefined || input === null || input.length === 0) {
    throw new Refusal(400, "There is no image: send its bytes as the body.");
  }
  if (!(input instanceof Uint8Array)) {
    throw new Refusal(
      415,
      "The body was sent as text or JSON: send the bytes of an image, with Content-Type: image/png or image/jpeg.",
    );
  }
  const format = sniff(input);
  if (format === undefined)
    throw new Refusal(415, "The body is not an image this can read: send a PNG, JPEG or WebP file.");
  // Only the header is read here, so the limit on pixels can be told with the size that broke it.
  const header = await decoding(format, sharp(input, { limitInputPixels: false }).metadata());
  if (header.width * header.height > MAX_INPUT_PIXELS) {
    const limit = MAX_INPUT_PIXELS / 1e6;
    throw new Refusal(413, `The image has ${header.width} × ${header.height} pixels: send at most ${limit} million.`);
  }
  return { bytes: input, format, ...header.autoOrient };
}

/** The format by its first bytes, so that no decoder but these three ever sees what a caller sends. */
function sniff(bytes) {
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 12)).toString("latin1");
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return "png";
  if (start.startsWith("\xff\xd8\xff")) return "jpeg";
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return "webp";
  return undefined;
}

async function render(source, options) {
  requireSaneShape(source, options);
  const format = options.format ?? source.format;
  const image = sharp(source.bytes, { limitInputPixels: MAX_INPUT_PIXELS, failOn: "error" })
    .autoOrient()
    .resize({ width: options.width, height: options.height, fit: options.fit ?? "cover" });
  if (format === "jpeg") image.flatten({ background: "white" });
  const bytes = await decoding(
    source.format,
    image.toFormat(format, format === "png" ? {} : { quality: QUALITY }).toBuffer(),
  );
  console.log(
    `${source.format} ${source.width}×${source.height}, ${source.bytes.length} bytes → ${format}, ${bytes.length} bytes`,
  );
  return new Response(bytes, { headers: { "content-type": `image/${format}` } });
}

/** A side that follows from the image can be far larger than the one asked for: a ribbon of 10 × 60000, 4000 wide. */
function requireSaneShape({ width, height }, options) {
  const follows = options.height === undefined ? (height * options.width) / width : (width * options.height) / height;
  if (options.width !== undefined && options.height !== undefined) return;
  if (follows < MAX_SIDE + 0.5) return;
  const [given, other] = options.height === undefined ? ["width", "height"] : ["height", "width"];
  throw new Refusal(
    400,
    `With this ${given} the ${other} of a ${width} × ${height} image would be over ${MAX_SIDE}: give both.`,
  );
}

async function decoding(format, work) {
  try {
    return await work;
  } catch (error) {
    throw new Refusal(400, `The ${format.toUpperCase()} image is damaged or cut short: ${error.message.trim()}.`);
  }
}

function readQuality(text) {
  const quality = Number(text);
  if (Number.isInteger(quality) && quality >= 1 && quality <= 100) return quality;
  throw new Error(`The environment variable QUALITY is "${text}": use a whole number from 1 to 100.`);
}
