// Says what an image is. The body is read as it streams past, so its length costs time but no memory.
import { createHash } from "node:crypto";
import { createHeaderReader } from "./header.mjs";

export default {
  /** `{ format, width, height, bytes, sha256 }`; width and height as stored, before any EXIF orientation. */
  async fetch(request) {
    const hash = createHash("sha256");
    const reader = createHeaderReader();
    let bytes = 0;
    for await (const chunk of request.body ?? []) {
      hash.update(chunk);
      reader.push(chunk);
      bytes += chunk.length;
    }
    if (bytes === 0) return refuse(400, "There is no image: send its bytes as the body.");
    const header = reader.header();
    if (header === undefined) return refuse(415, "The body does not begin as a PNG, JPEG, WebP or GIF image does.");
    return Response.json({ ...header, bytes, sha256: hash.digest("hex") });
  },
};

function refuse(status, message) {
  return Response.json({ error: message }, { status });
}
