import assert from "node:assert/strict";
import { test } from "node:test";
import { createFeed } from "./feed.mjs";
import { streamOf } from "./stream.mjs";

const NEVER_MS = 2 ** 30;
const open = (feed, options) => streamOf(feed, { heartbeatMs: NEVER_MS, endsInMs: NEVER_MS, ...options });
const textOf = (stream) => new Response(stream).text();

function feedWith(...values) {
  const feed = createFeed({ epoch: "e", kept: 3 });
  for (const value of values) feed.publish(value);
  return feed;
}

test("events go out as they happen, until as many as asked for", async () => {
  const feed = feedWith("before");
  const stream = open(feed, { count: 2 });
  for (const value of ["a", "b", "c"]) feed.publish(value);
  assert.equal(await textOf(stream), 'retry: 1000\n\nid: e-2\ndata: "a"\n\nid: e-3\ndata: "b"\n\n');
});

test("whoever was away gets what was missed first", async () => {
  const text = await textOf(open(feedWith("a", "b", "c"), { lastEventId: "e-1", count: 2 }));
  assert.equal(text, 'retry: 1000\n\nid: e-2\ndata: "b"\n\nid: e-3\ndata: "c"\n\n');
});

test("what is no longer kept, or of another feed, is said to be missing", async () => {
  for (const lastEventId of ["e-1", "other-4", "e-99", "nonsense"]) {
    const text = await textOf(open(feedWith("a", "b", "c", "d", "e"), { lastEventId, count: 3 }));
    assert.match(text, /^retry: 1000\n\nevent: gap\n/, lastEventId);
    assert.deepEqual(text.match(/^id: .*/gm), ["id: e-3", "id: e-4", "id: e-5"], lastEventId);
  }
});

test("while nothing happens, heartbeats go out; at its time the stream ends", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval", "setTimeout"] });
  const stream = open(feedWith(), { heartbeatMs: 10, endsInMs: 25 });
  t.mock.timers.tick(25);
  assert.equal(await textOf(stream), "retry: 1000\n\n: still here\n\n: still here\n\n");
});

test("a caller who leaves is let go", async () => {
  const feed = feedWith();
  const leaving = new AbortController();
  const text = textOf(open(feed, { signal: leaving.signal }));
  leaving.abort();
  assert.equal(await text, "retry: 1000\n\n");
  const reader = open(feed, {}).getReader();
  await reader.read();
  await reader.cancel();
  feed.publish("to nobody");
});
