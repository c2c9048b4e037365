import { isUtf8 } from "node:buffer";
import type { GuestInvoke } from "#contract/guest/link.ts";
import { findHeader } from "./request.ts";

/** The body is not what its content type says. */
export class InputError extends Error {}

export function contentTypeOf(head: GuestInvoke): string | undefined {
  return head.request === undefined ? head.contentType : findHeader(head.request.headers, "content-type");
}

/**
 * A handler's input: JSON decoded, text as a string, all else as bytes, an empty body as undefined. `body` may be a view into a
 * received chunk. @throws InputError
 */
export function decodeInput(contentType: string | undefined, body: Buffer): unknown {
  if (body.length === 0) return undefined;
  if (contentType === undefined) return own(body);
  if (contentType === "application/json") return decodeJson(contentType, body);
  const type = essence(contentType);
  if (type === "application/json" || (type.startsWith("application/") && type.endsWith("+json")))
    return decodeJson(type, body);
  return type.startsWith("text/") ? decodeText(type, contentType, body) : own(body);
}

function decodeJson(type: string, body: Buffer): unknown {
  if (!isUtf8(body)) throw new InputError(`the body is said to be ${type}, but is not UTF-8`);
  try {
    return JSON.parse(withoutMark(body.toString("utf8")));
  } catch (error) {
    throw new InputError(`the body is said to be ${type}, but is not JSON: ${(error as Error).message}`);
  }
}

function decodeText(type: string, contentType: string, body: Buffer): string {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1] ?? "utf-8";
  try {
    return new TextDecoder(charset, { fatal: true }).decode(body);
  } catch {
    throw new InputError(`the body is said to be ${type}, but can't be read as ${charset}`);
  }
}

/** The media type without parameters, in lower case. */
function essence(contentType: string): string {
  const end = contentType.indexOf(";");
  return (end < 0 ? contentType : contentType.slice(0, end)).trim().toLowerCase();
}

function withoutMark(text: string): string {
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** A copy that shares memory with nobody: user code may write to it or give it away. */
function own(body: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(body.length);
  body.copy(copy);
  return copy;
}
