import type { ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/**
 * Sends values as they come, a line each. The headers leave at once, so that whoever follows knows that he does. When the
 * client leaves or the values fail, the connection is cut and the iteration ended.
 */
export async function sendLines(
  response: ServerResponse,
  values: AsyncIterable<unknown>,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  response.writeHead(200, { ...headers, "content-type": "application/x-ndjson", "cache-control": "no-store" });
  response.flushHeaders();
  await pipeline(Readable.from(lines(values)), response);
}

async function* lines(values: AsyncIterable<unknown>): AsyncGenerator<string> {
  for await (const value of values) yield `${JSON.stringify(value)}\n`;
}
