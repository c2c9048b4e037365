import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { INITIAL_WINDOW, MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import type { InvokeOptions } from "./driven-data.ts";
import type { GuestSuite } from "./guest-suite.ts";
import { until, within } from "./limit.ts";

const MIB = 1024 * 1024;
const ECHO: InvokeOptions = {
  request: { method: "POST", path: "/echo", query: "", headers: ["content-type", "application/octet-stream"] },
};

/** Bodies both ways, under the window. */
export function streamTests(suite: GuestSuite): void {
  const { functions } = suite;

  test("a streamed echo of 8 MiB is intact, and several at once are", async (t) => {
    const { data } = await suite.ready(t, functions.http);
    const echo = async (fill: string) => {
      const body = Buffer.alloc(8 * MIB, fill);
      const hash = createHash("sha256");
      const outcome = await data.invoke({ ...ECHO, body, sink: (chunk) => hash.update(chunk) });
      assert.equal(outcome.kind, "ok", outcome.error?.message);
      assert.equal(hash.digest("hex"), createHash("sha256").update(body).digest("hex"));
    };
    await echo("abcdefg");
    await Promise.all([echo("hijklmnop"), echo("qrstuvw"), echo("xyz")]);
  });

  test("a reader that gives no credit holds the sender back: no more than the windows is held in memory", async (t) => {
    const { control, data } = await suite.ready(t, functions.http);
    const total = 8 * MIB;
    const body = Buffer.alloc(total, "abcdefg");
    let sent = 0;
    const invocation = data.start({ ...ECHO, open: true, credit: false });
    const sending = (async () => {
      for (; sent < total; sent += MAXIMUM_CHUNK) await invocation.write(body.subarray(sent, sent + MAXIMUM_CHUNK));
      await invocation.finish();
    })();
    await until(() => invocation.received === INITIAL_WINDOW, "a full window of the answer");
    await control.ping();
    await control.ping();
    assert.equal(invocation.received, INITIAL_WINDOW, "not a byte beyond the window");
    assert.ok(sent <= 3 * INITIAL_WINDOW, `the guest took ${sent} bytes while its answer stood still`);
    while (invocation.received < total) {
      const before = invocation.received;
      invocation.credit(INITIAL_WINDOW);
      await until(() => invocation.received > before, "more of the answer");
      const rest = INITIAL_WINDOW - (invocation.received - before);
      if (rest > 0)
        await until(() => invocation.received >= Math.min(total, before + INITIAL_WINDOW), "the credit used");
    }
    await sending;
    const outcome = await invocation.end();
    assert.ok(outcome.body.equals(body));
  });

  test("a large answer waits for credit, and its slot is free once it is cancelled", async (t) => {
    const { control, data } = await suite.ready(t, functions.answer, { concurrency: 1 });
    const stuck = data.start({ contentType: "application/json", body: '{"form":"large"}', credit: false });
    await until(() => stuck.received === INITIAL_WINDOW, "a full window of the answer");
    assert.equal((await data.json({ form: "text" })).reason, "full");
    stuck.cancel();
    assert.equal((await stuck.end()).kind, "cancelled");
    assert.equal((await data.json({ form: "text" })).body.toString(), "grüße");
    assert.equal(await control.ping(), 0);
  });

  test("an answer may come before the body is whole, or without reading it", async (t) => {
    const { data } = await suite.ready(t, functions.http);
    const invocation = data.start({ ...ECHO, body: "first ", open: true });
    await until(() => invocation.received === 6, "the first piece back while the body is open");
    await invocation.finish(Buffer.from("second"));
    assert.equal((await invocation.end()).body.toString(), "first second");
    const request = { method: "POST", path: "/unread", query: "", headers: [] };
    const unread = data.start({ request, body: Buffer.alloc(2 * MIB) });
    assert.equal((await unread.end()).body.toString(), "unread");
    assert.equal((await data.invoke({ request, body: "next" })).body.toString(), "unread", "the stream goes on");
  });

  test("a cancelled echo ends, whichever way it waits", async (t) => {
    const { control, data } = await suite.ready(t, functions.http, { concurrency: 2 });
    const reading = data.start({ ...ECHO, body: "x", open: true });
    await until(() => reading.received === 1, "the first byte back");
    const writing = data.start({ ...ECHO, body: Buffer.alloc(2 * MIB), credit: false });
    await until(() => writing.received === INITIAL_WINDOW, "a full window of the answer");
    reading.cancel();
    writing.cancel();
    for (const invocation of [reading, writing]) {
      const outcome = await within(invocation.outcome, "end of the cancelled echo");
      assert.ok(outcome.kind === "cancelled", `not ${outcome.kind}: ${outcome.error?.message}`);
    }
    assert.equal(await control.ping(), 0);
  });
}
