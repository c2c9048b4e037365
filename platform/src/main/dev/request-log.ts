import type { IncomingMessage, ServerResponse } from "node:http";
import type { DevRequest } from "./event.ts";

const SHOWN_TARGET = 200;

/** Tells of a request when its answer is complete, or its caller gone. */
export function followRequest(
  request: IncomingMessage,
  response: ServerResponse,
  tell: (told: DevRequest) => void,
): void {
  const begun = performance.now();
  const headers = new Map<string, string>();
  const writeHead = response.writeHead.bind(response);
  // The gateway hands its headers over in one list, which Node writes without keeping it.
  response.writeHead = (status: number, ...rest: unknown[]) => {
    const list = rest.at(-1) as readonly string[];
    for (let index = 0; index + 1 < list.length; index += 2) headers.set(list[index]!.toLowerCase(), list[index + 1]!);
    return writeHead(status, [...list]);
  };
  const target = (request.url ?? "").slice(0, SHOWN_TARGET);
  response.once("close", () => {
    const code = headers.get("colibri-error-code");
    const cold = /cold;dur=([\d.]+)/.exec(headers.get("server-timing") ?? "")?.[1];
    tell({
      method: request.method ?? "",
      target,
      status: response.headersSent ? response.statusCode : undefined,
      tookMs: performance.now() - begun,
      coldMs: Number(cold ?? 0),
      invocation: headers.get("colibri-invocation-id"),
      error: code === undefined ? undefined : { code, message: headers.get("colibri-error-message") ?? "" },
    });
  });
}
