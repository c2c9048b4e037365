import { type IncomingHttpHeaders, type IncomingMessage, type RequestOptions, request } from "node:http";
import { Readable } from "node:stream";

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array | Readable;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: what a function answers is what the test says it is
  readonly json: any;
  /** `Colibri-Error-Code`. */
  readonly code: string | undefined;
  /** `Colibri-Error-Message`, or the problem's detail. */
  readonly message: string;
}

/** A request on a connection of its own: none is left over from before a restart. Resolves with the head. */
export function openCall(url: string, options: CallOptions = {}): Promise<IncomingMessage> {
  const { body, headers, signal } = options;
  const method = options.method ?? (body === undefined ? "GET" : "POST");
  // As it stands: parsed as a URL, its dots would be worked out here instead of there.
  const path = url.slice(new URL(url).origin.length);
  const given: RequestOptions = { method, path, headers: { ...headers }, agent: false, ...(signal && { signal }) };
  return new Promise((resolve, reject) => {
    const outgoing = request(url, given, resolve).on("error", reject);
    if (body instanceof Readable) body.on("error", reject).pipe(outgoing);
    else outgoing.end(body);
  });
}

/** The whole answer. */
export async function call(url: string, options: CallOptions = {}): Promise<Answer> {
  const response = await openCall(url, options);
  return new Received(response, Buffer.concat(await response.toArray()));
}

class Received implements Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;

  constructor(response: IncomingMessage, body: Buffer) {
    this.status = response.statusCode ?? 0;
    this.headers = response.headers;
    this.body = body;
  }

  get text(): string {
    return this.body.toString();
  }
  get json(): unknown {
    return JSON.parse(this.text);
  }
  get code(): string | undefined {
    return this.headers["colibri-error-code"]?.toString();
  }
  get message(): string {
    return this.headers["colibri-error-message"]?.toString() ?? "";
  }
}
