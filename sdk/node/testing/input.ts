import { isAnyArrayBuffer, isArrayBufferView } from "node:util/types";
import { bytesOf } from "#guest/node/answer-bytes.ts";
import type { InvokeOptions, TestRequest } from "./types.ts";

/** What a caller sends. */
export interface Sent {
  readonly contentType: string | undefined;
  readonly request: TestRequest | false | undefined;
  readonly body: Uint8Array | AsyncIterable<unknown>;
}

const NOTHING = new Uint8Array(0);

/** An input as a caller would send it: a Request as it is; text, bytes and streams of them; nothing; anything else as JSON. */
export function toSent(input: unknown, options: InvokeOptions): Sent {
  if (isRequest(input)) return fromRequest(input, options);
  const { contentType, body } = encode(input);
  return { contentType: options.contentType ?? contentType, request: options.request, body };
}

function encode(input: unknown): Pick<Sent, "contentType" | "body"> {
  if (input === undefined) return { contentType: undefined, body: NOTHING };
  if (typeof input === "string") return { contentType: "text/plain; charset=utf-8", body: Buffer.from(input) };
  if (isArrayBufferView(input) || isAnyArrayBuffer(input)) return { contentType: BYTES, body: bytesOf(input) };
  if (isStream(input)) return { contentType: BYTES, body: input };
  const text = JSON.stringify(input) as string | undefined;
  if (text === undefined) throw new TypeError(`a ${typeof input} can't be sent: use data, text, bytes or a Request`);
  return { contentType: "application/json", body: Buffer.from(text) };
}

const BYTES = "application/octet-stream";

function isStream(input: unknown): input is AsyncIterable<unknown> {
  return typeof input === "object" && input !== null && Symbol.asyncIterator in input;
}

/** By what it is called: test runners have classes of their own. */
function isRequest(input: unknown): input is Request {
  return Object.prototype.toString.call(input) === "[object Request]";
}

function fromRequest(given: Request, { request, contentType }: InvokeOptions): Sent {
  const url = new URL(given.url);
  const facts: TestRequest = {
    method: given.method,
    path: url.pathname,
    query: url.search.slice(1),
    headers: { host: url.host, ...Object.fromEntries(given.headers) },
    ...request,
  };
  const type = contentType ?? given.headers.get("content-type") ?? undefined;
  return { contentType: type, request: facts, body: (given.body as AsyncIterable<unknown> | null) ?? NOTHING };
}
