import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_WINDOW } from "#contract/guest/link.ts";
import { IncomingBody } from "./body.ts";

test("gives back as credit what was taken, and never more than came", () => {
  let credit = 0;
  const body = new IncomingBody((bytes) => {
    credit += bytes;
  });
  const piece = Buffer.alloc(INITIAL_WINDOW / 8);
  let sent = 0;
  for (let round = 0; round < 100; round++) {
    while (sent + piece.length <= INITIAL_WINDOW + credit) {
      body.push(piece, false);
      sent += piece.length;
    }
    const before = credit;
    for (let taken = 0; taken < 4; taken++) assert.equal(body.takeOne()?.length, piece.length);
    assert.ok(credit > before, "credit for half a window that was read");
    assert.ok(credit <= sent);
  }
});

test("refuses more than the window, and more after the end", () => {
  const full = new IncomingBody(() => {});
  full.push(Buffer.alloc(INITIAL_WINDOW), false);
  assert.throws(() => full.push(Buffer.alloc(1), false), /window/);
  const ended = new IncomingBody(() => {});
  ended.push(Buffer.alloc(1), true);
  assert.throws(() => ended.push(Buffer.alloc(0), true), /after its end/);
});

test("holds nothing once it has failed", () => {
  const body = new IncomingBody(() => assert.fail("no credit for what nobody reads"));
  body.push(Buffer.alloc(INITIAL_WINDOW / 2), false);
  body.fail(new Error("gone"));
  body.push(Buffer.alloc(10), false);
  assert.deepEqual(body.take(), []);
  assert.equal(body.failure?.message, "gone");
});
