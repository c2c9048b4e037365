import type { GuestInvoke } from "#contract/guest/link.ts";
import type { IncomingBody } from "./body.ts";
import { InputError } from "./input.ts";

export interface RequestSource {
  readonly head: GuestInvoke;
  readonly signal: AbortSignal;
}

/** The Request of a fetch-style function; one is made up where the invocation did not come over HTTP. @throws InputError */
export function createRequest(source: RequestSource, body: Buffer | IncomingBody): Request {
  const given = source.head.request;
  const method = given?.method ?? "POST";
  const bodiless = method === "GET" || method === "HEAD" || (Buffer.isBuffer(body) && body.length === 0);
  try {
    const headers = readHeaders(source.head);
    return new Request(addressOf(given, headers), {
      method,
      headers,
      signal: source.signal,
      ...(bodiless ? {} : { body: Buffer.isBuffer(body) ? new Uint8Array(body) : toReadable(body), duplex: "half" }),
    } as RequestInit);
  } catch (error) {
    throw new InputError(`the request can't be given to fetch: ${(error as Error).message}`);
  }
}

function readHeaders(head: GuestInvoke): Headers {
  const headers = new Headers();
  const flat = head.request?.headers ?? (head.contentType === undefined ? [] : ["content-type", head.contentType]);
  for (let index = 0; index + 1 < flat.length; index += 2) headers.append(flat[index]!, flat[index + 1]!);
  return headers;
}

function addressOf(given: GuestInvoke["request"], headers: Headers): string {
  // The last one is the gateway's own; callers may have sent others before it.
  const scheme = headers.get("x-forwarded-proto")?.endsWith("https") ? "https" : "http";
  const host = headers.get("host") ?? "localhost";
  const target = given === undefined ? "/" : given.query === "" ? given.path : `${given.path}?${given.query}`;
  const address = `${scheme}://${host}${target}`;
  return URL.canParse(address) ? address : `${scheme}://localhost${target}`;
}

/** Gives a piece when one is asked for, so that credit follows what user code reads. */
function toReadable(body: IncomingBody): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        return new Promise<void>((resolve) => {
          const give = () => {
            const piece = body.takeOne();
            if (piece === undefined && !body.ended && body.failure === undefined) return;
            body.onChange(undefined);
            if (body.failure !== undefined) controller.error(body.failure);
            else if (piece !== undefined) controller.enqueue(new Uint8Array(piece));
            else controller.close();
            resolve();
          };
          body.onChange(give);
          give();
        });
      },
      cancel() {
        body.onChange(undefined);
      },
    },
    { highWaterMark: 0 },
  );
}
