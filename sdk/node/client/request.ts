import { type ClientRequest, request as httpRequest, type IncomingMessage, type OutgoingHttpHeaders } from "node:http";
import { pipeline } from "node:stream/promises";
import type { Bytes } from "./types.ts";

export interface Outgoing {
  readonly method: string;
  readonly url: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Bytes | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Longest time without a byte either way. Absent: any. */
  readonly idleMs?: number | undefined;
}

/**
 * Resolves when the answer begins; an answer that comes early (such as 413) is not lost to the upload's failure. Not `fetch`: that ends
 * streams which are silent for five minutes.
 */
export async function send({ method, url, headers = {}, body, signal, idleMs }: Outgoing): Promise<IncomingMessage> {
  signal?.throwIfAborted();
  const request = url.startsWith("https:") ? (await import("node:https")).request : httpRequest;
  const outgoing = request(url, { method, headers, ...(signal && { signal }) });
  if (idleMs !== undefined)
    outgoing.setTimeout(idleMs, () => outgoing.destroy(new Error(`no answer within ${idleMs / 1000} s`)));
  const answered = answerOf(outgoing, signal);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) outgoing.end(body);
  else pipeline(body, outgoing).catch((error) => outgoing.destroy(error));
  return answered;
}

function answerOf(outgoing: ClientRequest, signal: AbortSignal | undefined): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    outgoing.on("response", resolve);
    // Stays: after the answer has begun, a failing upload must not end the process.
    outgoing.on("error", (error) => reject(signal?.aborted ? signal.reason : error));
  });
}

const MAXIMUM_TEXT = 64 * 1024 * 1024;

export async function textOf(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes > MAXIMUM_TEXT) throw new Error(`the answer has more than ${MAXIMUM_TEXT} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
