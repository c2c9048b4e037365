import type { GuestHead } from "#contract/guest/link.ts";
import { guestHead } from "#contract/guest/link.ts";
import { parseJson } from "#contract/shape.ts";
import type { AnswerHead } from "./answer.ts";

/** RFC 9110 token, and field values without control characters. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Connection-level (RFC 9110 section 7.6.1) and the platform's own: not for the function to say. */
const DROPPED = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "content-length",
  "date",
]);
const OWN_PREFIX = "colibri-";

const CACHE_ENTRIES = 64;
const CACHED_LENGTH = 1_024;

export class AnswerHeadError extends Error {}

/**
 * Reads heads of answers. Functions answer with the same few heads over and over, so those already checked are remembered by
 * their text, per sandbox and bounded.
 */
export class AnswerHeads {
  readonly #known = new Map<string, AnswerHead>();

  /** @throws ShapeError when the guest broke the protocol, AnswerHeadError when the user's headers can't be sent. */
  read(text: string): AnswerHead {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const head = clean(parseJson(guestHead, text, "HEAD"));
    if (text.length <= CACHED_LENGTH) {
      if (this.#known.size >= CACHE_ENTRIES) this.#known.clear();
      this.#known.set(text, head);
    }
    return head;
  }
}

function clean(head: GuestHead): AnswerHead {
  const headers: string[] = [];
  let bytes: number | undefined;
  for (let index = 0; index + 1 < head.headers.length; index += 2) {
    const name = head.headers[index]!;
    const value = head.headers[index + 1]!;
    const lower = name.toLowerCase();
    if (!HEADER_NAME.test(name))
      throw new AnswerHeadError(`the answer has a header with an invalid name: ${JSON.stringify(name.slice(0, 64))}`);
    if (!HEADER_VALUE.test(value))
      throw new AnswerHeadError(`the answer's header ${name} has characters that HTTP does not allow`);
    if (lower === "content-length") bytes = /^\d{1,15}$/.test(value) ? Number(value) : undefined;
    if (!DROPPED.has(lower) && !lower.startsWith(OWN_PREFIX)) headers.push(name, value);
  }
  return Object.freeze({ status: head.status, headers: Object.freeze(headers), bytes });
}
