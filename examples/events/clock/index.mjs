// Server-sent events: a page at `/`, the stream it shows at `/events`.
import { readFileSync } from "node:fs";
import { createFeed } from "./feed.mjs";
import { streamOf } from "./stream.mjs";

const PAGE = readFileSync(new URL("./page.html", import.meta.url));
const TICK_MS = 1000;
const HEARTBEAT_MS = 15_000;
/** Time to end a stream properly before its deadline breaks it off. */
const MARGIN_MS = 1000;
const MOST_EVENTS = 1000;

const feed = createFeed({ epoch: Date.now().toString(36) });
// What happens here is that time passes. It must not keep the process alive by itself.
setInterval(() => feed.publish({ time: new Date().toISOString() }), TICK_MS).unref();

export default {
  fetch(request, context) {
    const { pathname, searchParams } = new URL(request.url);
    if (request.method !== "GET") return new Response("This takes GET.\n", { status: 405, headers: { allow: "GET" } });
    if (pathname === "/") return new Response(PAGE, { headers: { "content-type": "text/html; charset=utf-8" } });
    if (pathname !== "/events") return new Response("There is a page at / and a stream at /events.\n", { status: 404 });
    const count = readCount(searchParams.get("count"));
    if (count === undefined)
      return new Response(`count must be a whole number from 1 to ${MOST_EVENTS}.\n`, { status: 400 });
    const lastEventId = request.headers.get("last-event-id") ?? undefined;
    const endsInMs = Math.max(0, context.remaining() - MARGIN_MS);
    const stream = streamOf(feed, { lastEventId, count, heartbeatMs: HEARTBEAT_MS, endsInMs, signal: request.signal });
    return new Response(stream, { headers: { "content-type": "text/event-stream", "cache-control": "no-cache" } });
  },
};

function readCount(text) {
  if (text === null) return Number.POSITIVE_INFINITY;
  const count = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  return count >= 1 && count <= MOST_EVENTS ? count : undefined;
}
