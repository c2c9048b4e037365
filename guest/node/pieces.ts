import { MAXIMUM_ANSWER_HEADERS, MAXIMUM_HEAD } from "#contract/guest/link.ts";
import { AnswerError } from "./answer-bytes.ts";

/** A streamed answer, asked for piece by piece. */
export interface Pieces {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>;
  /** Ends it early: what produces it is told to stop. Never throws. */
  cancel(reason: unknown): Promise<void>;
}

export function openPieces(stream: AsyncIterable<unknown> | ReadableStream): Pieces {
  if (typeof (stream as ReadableStream).getReader === "function") return openReadable(stream as ReadableStream);
  const iterator = (stream as AsyncIterable<unknown>)[Symbol.asyncIterator]();
  const destroy = (stream as { destroy?: (error?: Error) => void }).destroy;
  return {
    next: async () => iterator.next(),
    async cancel() {
      // A Node stream that waits for data only lets go when it is destroyed.
      if (typeof destroy === "function") destroy.call(stream);
      await Promise.resolve(iterator.return?.()).catch(() => {});
    },
  };
}

function openReadable(stream: ReadableStream): Pieces {
  if (stream.locked) throw new AnswerError("the answer's stream is already being read, or its Response was used");
  const reader = stream.getReader();
  return {
    next: () => reader.read(),
    cancel: (reason) => reader.cancel(reason).catch(() => {}),
  };
}

/** HEAD of a Response. @throws AnswerError */
export function responseHead(response: Response): string {
  const { status } = response;
  if (!(status >= 200 && status <= 599))
    throw new AnswerError(`the Response has the status ${status}; it must be from 200 to 599`);
  const headers: string[] = [];
  for (const [name, value] of response.headers) headers.push(name, value);
  const head = JSON.stringify({ status, headers });
  if (headers.length / 2 > MAXIMUM_ANSWER_HEADERS)
    throw new AnswerError(`the Response has ${headers.length / 2} headers; ${MAXIMUM_ANSWER_HEADERS} are allowed`);
  if (head.length > MAXIMUM_HEAD)
    throw new AnswerError(`the Response's headers have ${head.length} characters; ${MAXIMUM_HEAD} are allowed`);
  return head;
}
