// A feed as server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

const RETRY_MS = 1000;

/**
 * Ends after `count` events, when the caller leaves, and at `endsInMs`. A comment goes out every `heartbeatMs`: proxies close
 * connections on which nothing moves, and a caller who has left is noticed.
 */
export function streamOf(feed, { lastEventId, count = Number.POSITIVE_INFINITY, heartbeatMs, endsInMs, signal }) {
  const encoder = new TextEncoder();
  let stop = () => {};
  return new ReadableStream({
    start(controller) {
      const write = (text) => controller.enqueue(encoder.encode(text));
      const heartbeat = setInterval(() => write(": still here\n\n"), heartbeatMs);
      const end = setTimeout(finish, endsInMs);
      const unsubscribe = feed.subscribe(send);
      let left = count;
      stop = () => {
        clearInterval(heartbeat);
        clearTimeout(end);
        unsubscribe();
      };
      signal?.addEventListener("abort", finish, { once: true });

      function send(event) {
        if (left <= 0) return;
        write(`id: ${event.id}\ndata: ${JSON.stringify(event.data)}\n\n`);
        if (--left === 0) finish();
      }

      function finish() {
        left = 0;
        stop();
        stop = () => {};
        try {
          controller.close();
        } catch {} // it is closed already
      }

      write(`retry: ${RETRY_MS}\n\n`);
      if (lastEventId === undefined) return;
      const missed = feed.since(lastEventId);
      if (!missed.complete) write("event: gap\ndata: some events are no longer kept\n\n");
      for (const event of missed.events) send(event);
    },
    cancel: () => stop(),
  });
}
