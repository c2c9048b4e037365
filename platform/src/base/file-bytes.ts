import { createReadStream } from "node:fs";

/**
 * A file's bytes, in pieces. It is opened when the first is asked for: a stream that nobody reads would fail where nobody hears of
 * it, and so end the process, when its file is gone meanwhile.
 */
export async function* fileBytes(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path);
}
