import { createHash } from "node:crypto";
import type { Digest } from "#contract/digest.ts";

export interface DigestStream extends AsyncIterable<Uint8Array> {
  /** Bytes that have passed so far. */
  bytes(): number;
  /** The digest of everything; throws while the stream has not ended. */
  digest(): Digest;
}

/** Passes `source` on unchanged and computes its digest on the way. Can be read once. */
export function digestStream(source: AsyncIterable<Uint8Array>): DigestStream {
  const hash = createHash("sha256");
  let bytes = 0;
  let digest: Digest | undefined;
  async function* pass(): AsyncGenerator<Uint8Array, void, void> {
    for await (const chunk of source) {
      hash.update(chunk);
      bytes += chunk.byteLength;
      yield chunk;
    }
    digest = `sha256:${hash.digest("hex")}`;
  }
  const passing = pass();
  return {
    [Symbol.asyncIterator]: () => passing,
    bytes: () => bytes,
    digest: () => {
      if (digest === undefined) throw new Error("The digest is known when the stream has been read to its end.");
      return digest;
    },
  };
}
