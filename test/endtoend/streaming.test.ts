// Bodies of any size go in and out intact, at the pace of the slower side, and nobody holds them in memory.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { after, before, describe, test } from "node:test";
import { openCall } from "./http.ts";
import { node, type Platform, python, startPlatform, until } from "./platform.ts";
import { memoryOf } from "./processes.ts";

const MIB = 1024 * 1024;
const BYTES = 50 * MIB;
const MOST_GROWTH_MIB = 60;

const ECHO_NODE = `
export default {
  fetch: (request) => new Response(request.body, { headers: { "content-type": request.headers.get("content-type") } }),
};
`;
const ECHO_ASGI = `
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/x-raw")]})
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        await send({"type": "http.response.body", "body": message.get("body", b""), "more_body": more})
`;
const ECHO_BYTES = "def handler(input, context):\n    return input\n";

// Makes 50 MiB in pieces, each when it is asked for, and says how many were.
const SOURCE = `
const piece = new Uint8Array(${MIB}).fill(7);
export default {
  fetch(request, context) {
    let made = 0;
    request.signal.addEventListener("abort", () => console.log("aborted after " + made));
    return new Response(new ReadableStream({
      pull(controller) {
        if (made === 50) return controller.close();
        made++;
        console.log("made " + made);
        controller.enqueue(piece);
      },
    }, { highWaterMark: 0 }));
  },
};
`;
const WAITS = `
export default (input, context) => new Promise((resolve) => {
  context.signal.addEventListener("abort", () => { console.log("nobody waits"); resolve("late"); });
  console.log("waiting");
});
`;
// Each answers one piece, and then fails.
const FAILS_NODE = 'export default async function* () { yield "first"; throw new Error("then it broke"); }';
const FAILS_PYTHON = 'def handler(input, context):\n    yield "first"\n    raise ValueError("then it broke")\n';
// Says the next event only when the caller has had the one before: it then calls again.
const EVENTS = `
const readers = [];
export default {
  async fetch(request) {
    if (request.method === "POST") {
      const event = await request.text();
      for (const reader of readers) reader.enqueue(new TextEncoder().encode("data: " + event + "\\n\\n"));
      return new Response(null, { status: 204 });
    }
    const stream = new ReadableStream({ start: (controller) => void readers.push(controller) });
    return new Response(stream, { headers: { "content-type": "text/event-stream" } });
  },
};
`;

let platform: Platform;
before(async () => {
  platform = await startPlatform();
  await platform.deploy("stream", {
    echo: node(ECHO_NODE),
    "echo-asgi": python(ECHO_ASGI, { handler: "handler.py#app" }),
    "echo-bytes": python(ECHO_BYTES, { memory: "512MiB" }),
    source: node(SOURCE, { timeout: "60s" }),
    waits: node(WAITS),
    "fails-node": node(FAILS_NODE),
    "fails-python": python(FAILS_PYTHON),
    events: node(EVENTS, { scaling: { max: 1 } }),
  });
});
after(() => platform?.close());

/** Bytes that differ everywhere, made as they are sent; `digest` is of all of them once they are. */
function createBytes(bytes: number): { stream: Readable; digest: () => string } {
  const hash = createHash("sha256");
  const pieces = function* () {
    for (let sent = 0, seed = 1; sent < bytes; sent += MIB) {
      const piece = Buffer.alloc(Math.min(MIB, bytes - sent));
      for (let at = 0; at + 4 <= piece.length; at += 4) {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        piece.writeUInt32LE(seed, at);
      }
      hash.update(piece);
      yield piece;
    }
  };
  return { stream: Readable.from(pieces(), { objectMode: false }), digest: () => hash.digest("hex") };
}

describe("50 MiB in and out", () => {
  for (const [name, streamed] of [
    ["echo", true],
    ["echo-asgi", true],
    ["echo-bytes", false],
  ] as const)
    test(`${name}: intact, and the gateway holds little of it`, async () => {
      // Started, and with its first buffers made.
      assert.equal((await platform.call(`stream/${name}`, { body: "warm" })).status, 200);
      const gateway = platform.pidOf("gateway");
      const before = memoryOf(gateway).nowMiB;
      const { stream, digest } = createBytes(BYTES);
      const headers = { "content-type": "image/x-raw", ...(!streamed && { "content-length": String(BYTES) }) };
      const response = await openCall(platform.urlOf(`stream/${name}`), { headers, body: stream });
      const hash = createHash("sha256");
      let received = 0;
      for await (const piece of response) {
        hash.update(piece);
        received += piece.length;
      }
      assert.deepEqual([response.statusCode, received], [200, BYTES]);
      assert.equal(hash.digest("hex"), digest());
      const growth = memoryOf(gateway).peakMiB - before;
      assert.ok(growth < MOST_GROWTH_MIB, `the gateway's memory grew by ${growth} MiB`);
    });
});

test("a caller who reads slowly slows the function down; nothing is made that nobody takes", async () => {
  const response = await openCall(platform.urlOf("stream/source"));
  const id = String(response.headers["colibri-invocation-id"]);
  response.pause();
  const made = async () => (await platform.logs("stream/source", id)).length;
  await until("the first pieces are made", async () => (await made()) > 0);
  const enough = await settled(made);
  assert.ok(enough < 25, `${enough} of 50 MiB were made though none was read`);
  let received = 0;
  for await (const piece of response) received += piece.length;
  assert.equal(received, BYTES);
});

/** What a count comes to when it has stopped growing. */
async function settled(count: () => Promise<number>): Promise<number> {
  let [last, same] = [-1, 0];
  await until("it stops growing", async () => {
    const now = await count();
    same = now === last ? same + 1 : 0;
    last = now;
    return same === 20;
  });
  return last;
}

for (const name of ["fails-node", "fails-python"])
  test(`what came before a failure arrives, then the answer breaks off, and the log tells why: ${name}`, async () => {
    const response = await openCall(platform.urlOf(`stream/${name}`));
    let text = "";
    const read = async () => {
      for await (const piece of response) text += piece;
    };
    await assert.rejects(read, { code: "ECONNRESET" });
    assert.deepEqual([response.statusCode, response.complete, text], [200, false, "first"]);
    const id = String(response.headers["colibri-invocation-id"]);
    await until("the error in the log", async () =>
      (await platform.logs(`stream/${name}`, id)).some(({ text }) => text.includes("then it broke")),
    );
    assert.equal((await platform.record(`stream/${name}`, id)).outcome, "function-error");
  });

describe("a caller who leaves", () => {
  const logged = (name: string, text: string, invocation?: string) =>
    until(`${text} in the log of ${name}`, async () =>
      (await platform.logs(`stream/${name}`, invocation)).some((line) => line.text.startsWith(text)),
    );

  test("before the answer: the function's signal tells, and the record says so", async () => {
    const leaving = new AbortController();
    const left = openCall(platform.urlOf("stream/waits"), { signal: leaving.signal });
    await logged("waits", "waiting");
    leaving.abort();
    await assert.rejects(left, /abort/i);
    await logged("waits", "nobody waits");
    const { items } = await until("a record", async () => {
      const { json } = await platform.api("/v1/tenants/default/apps/stream/functions/waits/invocations");
      return json.items.length === 1 && json;
    });
    assert.equal(items[0].outcome, "client-closed");
  });

  test("amid the answer: the function stops making it", async () => {
    const leaving = new AbortController();
    const response = await openCall(platform.urlOf("stream/source"), { signal: leaving.signal });
    response.on("error", () => {});
    response.once("data", () => leaving.abort());
    await logged("source", "aborted after", String(response.headers["colibri-invocation-id"]));
  });
});

test("server-sent events arrive one by one, as they are said", async () => {
  const response = await openCall(platform.urlOf("stream/events"));
  assert.equal(response.headers["content-type"], "text/event-stream");
  const events = response.setEncoding("utf8")[Symbol.asyncIterator]();
  for (const event of ["one", "two", "three"]) {
    const { status } = await platform.call("stream/events", { body: event });
    assert.equal(status, 204);
    assert.equal((await events.next()).value, `data: ${event}\n\n`);
  }
  response.destroy();
});
