import { isAnyArrayBuffer, isArrayBufferView } from "node:util/types";

/** The handler answered something that can't be sent. */
export class AnswerError extends Error {}

/** Bytes of a view or buffer, without a copy. */
export function bytesOf(value: ArrayBufferView | ArrayBufferLike): Uint8Array {
  if (isArrayBufferView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  return new Uint8Array(value as ArrayBufferLike);
}

/** Smaller bodies are copied by the frame writer. */
const COPIED_ANYWAY = 4_096;

/**
 * A piece of a streamed answer: text or bytes, copied, because a generator may fill the same buffer again before the piece has
 * left. @throws AnswerError for anything else.
 */
export function pieceBytes(piece: unknown): Uint8Array {
  if (typeof piece === "string") return Buffer.from(piece);
  if (isArrayBufferView(piece) || isAnyArrayBuffer(piece)) {
    const bytes = bytesOf(piece);
    return bytes.length > COPIED_ANYWAY ? bytes.slice() : bytes;
  }
  throw new AnswerError(
    `a piece of the streamed answer is ${piece === null ? "null" : `a ${typeof piece}`}; pieces are text or bytes`,
  );
}
