import { isAnyArrayBuffer, isArrayBufferView } from "node:util/types";
import { AnswerError, bytesOf } from "./answer-bytes.ts";

/** What a handler's output means. `head` is a HEAD frame's JSON. */
export type Answer =
  | { readonly kind: "whole"; readonly head: string; readonly body: Uint8Array | null }
  | { readonly kind: "response"; readonly response: Response }
  | { readonly kind: "stream"; readonly stream: AsyncIterable<unknown> };

function headOf(status: number, contentType?: string): string {
  return JSON.stringify({ status, headers: contentType === undefined ? [] : ["content-type", contentType] });
}

export const HEADS = Object.freeze({
  nothing: headOf(204),
  json: headOf(200, "application/json"),
  text: headOf(200, "text/plain; charset=utf-8"),
  bytes: headOf(200, "application/octet-stream"),
});

const NOTHING: Answer = Object.freeze({ kind: "whole", head: HEADS.nothing, body: null });

/** @throws AnswerError for what can't be sent. */
export function interpretOutput(output: unknown): Answer {
  if (output === undefined || output === null) return NOTHING;
  if (typeof output === "string") return { kind: "whole", head: HEADS.text, body: Buffer.from(output) };
  if (typeof output === "object") {
    if (isArrayBufferView(output) || isAnyArrayBuffer(output))
      return { kind: "whole", head: HEADS.bytes, body: bytesOf(output) };
    if (isResponse(output)) return { kind: "response", response: output };
    if (typeof (output as AsyncIterable<unknown>)[Symbol.asyncIterator] === "function")
      return { kind: "stream", stream: output as AsyncIterable<unknown> };
  }
  return { kind: "whole", head: HEADS.json, body: Buffer.from(toJson(output)) };
}

/** By what it is called: touching the global would load the whole of fetch into guests that don't use it. */
export function isResponse(value: unknown): value is Response {
  return (
    typeof value === "object" &&
    value !== null &&
    (value as { [Symbol.toStringTag]?: unknown })[Symbol.toStringTag] === "Response"
  );
}

function toJson(output: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(output);
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new AnswerError(`the answer can't be written as JSON: ${reason}`);
  }
  if (text === undefined)
    throw new AnswerError(
      `the answer is a ${typeof output}, which has no form in JSON; return data, text, bytes, a stream or a Response`,
    );
  return text;
}
