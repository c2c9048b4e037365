import type { IncomingMessage, ServerResponse } from "node:http";
import type { Clock } from "#base/clock.ts";
import type { Followed } from "#platform/gateway/exchange.ts";
import type { DevRequest } from "./event.ts";

const SHOWN_TARGET = 200;
const SHOWN_MESSAGE = 512;

/** Tells of a request when its answer is complete, or its caller gone. */
export function followRequest(
  request: IncomingMessage,
  response: ServerResponse,
  followed: Followed,
  clock: Clock,
  tell: (told: DevRequest) => void,
): void {
  const begun = clock.monotonic();
  response.once("close", () => {
    tell({
      method: request.method ?? "",
      target: (request.url ?? "").slice(0, SHOWN_TARGET),
      status: response.headersSent ? response.statusCode : undefined,
      tookMs: clock.monotonic() - begun,
      coldMs: followed.invocation?.coldMs ?? 0,
      invocation: followed.id === "" ? undefined : followed.id,
      error: errorOf(followed),
    });
  });
}

/** Of a caller that left nothing more is to be said. */
function errorOf({ failure, invocation }: Followed): DevRequest["error"] {
  if (failure !== undefined)
    return { code: failure.code, message: failure.message.replace(/\s+/g, " ").slice(0, SHOWN_MESSAGE) };
  if (invocation?.outcome !== "answer-invalid") return undefined;
  return { code: invocation.outcome, message: "the answer was broken off: it is not as long as it declared" };
}
