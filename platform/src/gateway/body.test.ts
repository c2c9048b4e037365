import assert from "node:assert/strict";
import type { IncomingMessage } from "node:http";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { RequestBody } from "./body.ts";

/** A body of at most 10 bytes, and what its owner and reader hear. */
function read() {
  const clock = new SimulatedClock(0);
  // As requests are: closed when their answer has left, not when their body has come.
  const sender = new PassThrough({ autoDestroy: false });
  const heard: string[] = [];
  const body = new RequestBody({ clock }, sender as unknown as IncomingMessage, 10, {
    bodyWanted: () => heard.push("wanted"),
    bodyTooLarge: (limit) => heard.push(`over ${limit}`),
    bodyStalled: (waitedMs) => heard.push(`stalled ${waitedMs}`),
  });
  body.start({ chunk: (bytes) => heard.push(String(bytes)), end: () => heard.push("end") });
  return { clock, sender, body, heard };
}

test("a body is read to its end, and its limit is exact", async () => {
  const { clock, sender, heard } = read();
  sender.write("12345");
  sender.end("67890");
  await clock.advance(1);
  assert.deepEqual(heard, ["wanted", "12345", "67890", "end"]);
  assert.equal(clock.pending, 0);
});

test("beyond the limit it is told once, and nothing more is passed on", async () => {
  const { clock, sender, heard } = read();
  sender.write("12345678901");
  sender.end("2");
  await clock.advance(1);
  assert.deepEqual(heard, ["wanted", "over 10"]);
});

test("a sender that stalls is told of; one that is paused by the reader is not", async () => {
  const { clock, sender, body, heard } = read();
  sender.write("1");
  await clock.advance(9_999);
  sender.write("2");
  await clock.advance(5_000);
  body.pause();
  await clock.advance(60_000);
  assert.deepEqual(heard, ["wanted", "1", "2"]);
  body.resume();
  await clock.advance(10_000);
  assert.deepEqual(heard.at(-1), "stalled 10000");
});

test("a sender of which nothing ever comes is told of; one that leaves is waited for no longer", async () => {
  const silent = read();
  await silent.clock.advance(9_999);
  silent.body.resume();
  await silent.clock.advance(1);
  assert.deepEqual(silent.heard, ["wanted", "stalled 10000"], "asking for more is no news of the sender");
  const gone = read();
  gone.sender.destroy();
  await new Promise((resolve) => gone.sender.once("close", resolve));
  assert.equal(gone.clock.pending, 0);
});
