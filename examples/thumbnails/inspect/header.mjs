// Reads what an image is from its header, while its bytes pass: holds a few dozen bytes at most, however long the image.
//
// Each format's reader is a generator that asks for bytes (`yield take(n)`) or lets them pass (`yield pass(n)`), in order.

const take = (bytes) => ({ take: bytes });
const pass = (bytes) => ({ pass: bytes });

function* readHeader() {
  const start = Buffer.from(yield take(12));
  const text = start.toString("latin1");
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return yield* readPng();
  if (text.startsWith("\xff\xd8\xff")) return yield* readJpeg(start.subarray(2));
  if (text.startsWith("RIFF") && text.endsWith("WEBP")) return yield* readWebp();
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a"))
    return size("gif", start.readUInt16LE(6), start.readUInt16LE(8));
  return undefined;
}

/** IHDR is the first chunk: its length is read already, then come type, width and height. */
function* readPng() {
  const ihdr = yield take(12);
  return ihdr.toString("latin1", 0, 4) === "IHDR" ? size("png", ihdr.readUInt32BE(4), ihdr.readUInt32BE(8)) : undefined;
}

/** Segments follow each other until the frame header, which has the size; EXIF and colour profiles may come first. */
function* readJpeg(start) {
  let ahead = start;
  for (;;) {
    // A marker is FF and a code, and may be padded with more FF.
    ahead = yield* fill(ahead, 4);
    if (ahead[0] !== 0xff) return undefined;
    if (ahead[1] === 0xff) {
      ahead = ahead.subarray(1);
      continue;
    }
    const [, code] = ahead;
    const length = 2 + ahead.readUInt16BE(2);
    if (isFrameHeader(code)) {
      const frame = yield* fill(ahead, 9);
      return size("jpeg", frame.readUInt16BE(7), frame.readUInt16BE(5));
    }
    // Image data or the end without a frame header before it, or a length that doesn't count itself.
    if (code === 0xda || code === 0xd9 || length < 4) return undefined;
    if (length > ahead.length) yield pass(length - ahead.length);
    ahead = ahead.subarray(Math.min(length, ahead.length));
  }
}

function* fill(held, bytes) {
  return held.length >= bytes ? held : Buffer.concat([held, yield take(bytes - held.length)]);
}

/** SOF0 to SOF15, without the three codes in between that mean something else (DHT, JPG, DAC). */
function isFrameHeader(code) {
  return code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
}

/** Lossy, lossless or extended; see RFC 9649. */
function* readWebp() {
  const chunk = yield take(18);
  switch (chunk.toString("latin1", 0, 4)) {
    case "VP8 ":
      return size("webp", chunk.readUInt16LE(14) & 0x3fff, chunk.readUInt16LE(16) & 0x3fff);
    case "VP8L": {
      const bits = chunk.readUInt32LE(9);
      return size("webp", 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff));
    }
    case "VP8X":
      return size("webp", 1 + chunk.readUIntLE(12, 3), 1 + chunk.readUIntLE(15, 3));
    default:
      return undefined;
  }
}

function size(format, width, height) {
  return width > 0 && height > 0 ? { format, width, height } : undefined;
}

/** `push(chunk)` as bytes arrive; `header()` is `{ format, width, height }`, or undefined where there was none to read. */
export function createHeaderReader() {
  const reader = readHeader();
  let step = reader.next();
  let held = Buffer.alloc(0);
  let passing = 0;

  function push(chunk) {
    if (step.done) return;
    const skipped = Math.min(passing, chunk.length);
    passing -= skipped;
    held = Buffer.concat([held, chunk.subarray(skipped)]);
    while (!step.done && advance());
    // A view of the caller's chunk would keep all of it alive.
    held = step.done ? Buffer.alloc(0) : Buffer.from(held);
  }

  function advance() {
    const { take: wanted, pass: ignored } = step.value;
    if (ignored !== undefined) {
      const skipped = Math.min(ignored, held.length);
      passing = ignored - skipped;
      held = held.subarray(skipped);
      step = reader.next();
      return passing === 0;
    }
    if (held.length < wanted) return false;
    const bytes = held.subarray(0, wanted);
    held = held.subarray(wanted);
    step = reader.next(bytes);
    return true;
  }

  return { push, header: () => (step.done ? step.value : undefined) };
}
