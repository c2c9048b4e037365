import assert from "node:assert/strict";
import { Agent } from "node:http";
import { test } from "node:test";
import { call, exchangeRaw, RawCaller } from "./caller.fixture.ts";
import { type Invoked, onStage, planOf, until, within } from "./stage.fixture.ts";

const FUNCTION = "/fn/app/f";
const LIMIT = 100_000;

/** The body as the guest has it once it is complete. */
async function wholeBody(invoked: Invoked): Promise<Buffer> {
  await until("the body's end", () => invoked.bodyEnded);
  return invoked.body;
}

test("bodies: none, small, exactly at the limit, declared and in chunks, arrive as they were sent", async () => {
  await onStage({ plan: { bodyBytes: LIMIT } }, async (stage) => {
    for (const bytes of [0, 1, 64 * 1024, 64 * 1024 + 1, LIMIT]) {
      for (const chunked of [false, true]) {
        const body = Buffer.alloc(bytes, "0123456789abcdef");
        const headers = chunked ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(bytes) };
        const answer = call(stage.url + FUNCTION, { method: "POST", headers, body });
        const invoked = await stage.invoked();
        assert.ok(body.equals(await wholeBody(invoked)), `${bytes} bytes, chunked: ${chunked}`);
        invoked.answer(200, [], "ok");
        assert.equal((await answer).status, 200);
        await until("its record", () => stage.records().at(-1)?.bodyBytes === bytes);
      }
    }
  });
});

test("a declared body over the limit: 413 before it is sent, and the function is not asked", async () => {
  await onStage({ plan: { bodyBytes: LIMIT } }, async (stage) => {
    const caller = new RawCaller(stage.port);
    caller.send(`POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\nContent-Length: ${LIMIT + 1}\r\n\r\n`);
    await caller.has("\r\n\r\n{");
    assert.match(caller.text, /^HTTP\/1\.1 413 .*\r\n/);
    assert.match(caller.text, /Colibri-Error-Code: body-too-large\r\n/);
    assert.match(caller.text, /the body has 100001 bytes, this function takes 100000/);
    await caller.over();
    assert.equal(stage.unanswered, 0);
    assert.deepEqual(stage.sandboxes, []);
  });
});

test("a chunked body over the limit: 413 to a sender that reads only afterwards, and the invocation is cancelled", async () => {
  await onStage({ plan: { bodyBytes: LIMIT } }, async (stage) => {
    const body = Buffer.alloc(8_000_000, "x");
    const answer = call(stage.url + FUNCTION, { method: "POST", headers: { "Transfer-Encoding": "chunked" }, body });
    const invoked = await stage.invoked();
    const { status, headers } = await answer;
    assert.deepEqual([status, headers["colibri-error-code"]], [413, "body-too-large"]);
    assert.equal(headers.connection, "close");
    assert.equal(await invoked.cancelled.promise, "client");
    assert.ok(invoked.body.length <= LIMIT, `the guest got ${invoked.body.length} bytes`);
    invoked.end({ outcome: "cancelled" });
    await until("the slot is free", () => stage.running === 0);
    const [record] = stage.records();
    assert.deepEqual([record?.outcome, record?.status], ["body-too-large", 413]);
  });
});

test("a sender that never stops is cut off, not read for ever", async () => {
  await onStage({ plan: { bodyBytes: 10 } }, async (stage) => {
    const caller = new RawCaller(stage.port);
    caller.send(`POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n`);
    const sending = setInterval(() => caller.send("a\r\n0123456789\r\n"), 5);
    try {
      await caller.has("413");
      await caller.over();
    } finally {
      clearInterval(sending);
    }
  });
});

test("a refusal without a large body behind it keeps the connection for the next request", async () => {
  await onStage({}, async (stage) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      for (const options of [{}, { method: "POST", body: "small" }]) {
        const { status, headers } = await call(`${stage.url}/fn/app/none`, { agent, ...options });
        assert.equal(status, 404);
        assert.equal(headers.connection, "keep-alive");
      }
      const answer = call(stage.url + FUNCTION, { agent });
      (await stage.invoked()).answer(200, [], "ok");
      assert.equal((await answer).body, "ok");
    } finally {
      agent.destroy();
    }
  });
});

test("a caller that waits for 100 Continue gets a refusal in its place, and the word only when its body is wanted", async () => {
  await onStage({ plan: { bodyBytes: LIMIT } }, async (stage) => {
    const post = (path: string, bytes: number) =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${bytes}\r\n\r\n`;
    for (const [path, bytes, status] of [
      ["/fn/app/none", 5, 404],
      [FUNCTION, LIMIT + 1, 413],
    ] as const) {
      const text = await exchangeRaw(stage.port, post(path, bytes));
      assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
    }
    for (const bytes of [5, LIMIT]) {
      const caller = new RawCaller(stage.port).send(post(FUNCTION, bytes));
      await caller.has("HTTP/1.1 100 Continue\r\n\r\n");
      caller.send("x".repeat(bytes));
      const invoked = await stage.invoked();
      assert.equal((await wholeBody(invoked)).length, bytes);
      invoked.answer(200, [], "thanks");
      await caller.has("thanks");
      caller.leave();
    }
  });
});

test("a large body is not asked for while its invocation waits", async () => {
  await onStage({ plan: { max: 1, concurrency: 1 } }, async (stage) => {
    const first = call(stage.url + FUNCTION);
    const running = await stage.invoked();
    const caller = new RawCaller(stage.port);
    caller.send(`POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 90000\r\n\r\n`);
    await until("it waits", () => stage.settle.inFlight === 2);
    assert.equal(caller.text, "");
    running.answer(200, [], "first");
    await first;
    await caller.has("100 Continue");
    caller.leave();
    assert.equal(await (await stage.invoked()).cancelled.promise, "client");
  });
});

const CHUNKED = `POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\n`;
const CODINGS: Readonly<Record<string, string>> = {
  "another coding before chunked": `${CHUNKED}Transfer-Encoding: gzip, chunked\r\n\r\n`,
  "another coding in a header of its own": `${CHUNKED}Transfer-Encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n`,
  "an empty coding before chunked": `${CHUNKED}Transfer-Encoding: , chunked\r\n\r\n`,
  "identity before chunked": `${CHUNKED}Transfer-Encoding: identity, chunked\r\n\r\n`,
  "identity after chunked": `${CHUNKED}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n`,
  "identity alone": `${CHUNKED}Transfer-Encoding: identity\r\n\r\n`,
  "identity and Content-Length": `${CHUNKED}Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n`,
  "gzip alone": `${CHUNKED}Transfer-Encoding: gzip\r\n\r\n`,
  "chunked twice": `${CHUNKED}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "chunked with a parameter": `${CHUNKED}Transfer-Encoding: chunked;q=1\r\n\r\n`,
  "chunked in quotes": `${CHUNKED}Transfer-Encoding: "chunked"\r\n\r\n`,
  "nothing, and Content-Length": `${CHUNKED}Transfer-Encoding:\r\nContent-Length: 5\r\n\r\n`,
  "a vertical tab": `${CHUNKED}Transfer-Encoding: \x0bchunked\r\n\r\n`,
  "a space before the colon": `${CHUNKED}Transfer-Encoding : chunked\r\n\r\n`,
  "a fold": `${CHUNKED}Transfer-Encoding:\r\n chunked\r\n\r\n`,
  "a bare line feed before it": `${CHUNKED}X: y\nTransfer-Encoding: chunked\r\n\r\n`,
  "chunked in HTTP/1.0": `${CHUNKED.replace("1.1", "1.0")}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "chunked and Content-Length in HTTP/1.0": `${CHUNKED.replace("1.1", "1.0")}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n`,
  "to an address that has no function": `${CHUNKED.replace(FUNCTION, "/healthz")}Transfer-Encoding: gzip, chunked\r\n\r\n`,
};

test("a body framed in any other way than by one length or by chunked: 400, closed, and the function not asked", async (t) => {
  await onStage({}, async (stage) => {
    const refused = (text: string) => {
      assert.match(text, /^HTTP\/1\.1 400 [\s\S]*\r\nColibri-Error-Code: bad-request\r\n/);
      assert.equal(text.match(/\r\nConnection: close\r\n/g)?.length, 1);
    };
    for (const [what, head] of Object.entries(CODINGS))
      await t.test(what, async () => {
        refused(await exchangeRaw(stage.port, `${head}0\r\n\r\n`));
        const unfinished = new RawCaller(stage.port).send(head);
        await unfinished.has("\r\n\r\n{");
        refused(unfinished.text);
        unfinished.leave();
      });
    assert.deepEqual([stage.unanswered, stage.sandboxes], [0, []]);
  });
});

test("chunked is understood however it is written", async () => {
  await onStage({}, async (stage) => {
    for (const header of ["transfer-encoding: CHUNKED", "Transfer-Encoding:  cHunked  "]) {
      const caller = new RawCaller(stage.port).send(`${CHUNKED}${header}\r\n\r\n1;x=y\r\na\r\n0\r\n\r\n`);
      const invoked = await stage.invoked();
      assert.equal(String(await wholeBody(invoked)), "a");
      invoked.answer(200, [], "");
      await caller.has("200 OK");
      caller.leave();
    }
  });
});

test("targets: absolute form, its host instead of Host, too long, not normalised", async () => {
  const triggers = [{ method: "GET", path: "/here", host: "shop.example" }];
  await onStage({ plan: { triggers } }, async (stage) => {
    const get = (target: string, method = "GET") =>
      new RawCaller(stage.port).send(
        `${method} ${target} HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n`,
      );
    for (const [target, path] of [
      ["http://any.example/fn/app/f/x?y=1", "/x"],
      ["HTTP://shop.example:80/here", "/here"],
    ] as const) {
      const caller = get(target);
      const invoked = await stage.invoked();
      assert.equal(invoked.head.request?.path, path);
      const headers = invoked.head.request!.headers;
      assert.equal(headers[headers.indexOf("X-Forwarded-Host") + 1], target.split("/")[2]);
      invoked.answer(200, [], "found");
      assert.match(await caller.over(), /^HTTP\/1\.1 200 /);
    }
    for (const target of ["//fn/app/f", "/fn//app/f", "/fn/app/../app/f", "http://shop.example", "/here"])
      assert.match(await get(target).over(), /^HTTP\/1\.1 404 [\s\S]*function-not-found/, target);
    for (const target of ["http:///fn/app/f", "http://a:b@any.example/fn/app/f", "http://@/fn/app/f"])
      assert.match(await get(target).over(), /^HTTP\/1\.1 400 [\s\S]*must name a host, and no user/, target);
    assert.match(await get("*", "OPTIONS").over(), /^HTTP\/1\.1 404 /);
    assert.match(await get("http://any.example/healthz").over(), /^HTTP\/1\.1 200 /);
    assert.match(await get(`/fn/app/f?${"q".repeat(8_192)}`).over(), /^HTTP\/1\.1 414 [\s\S]*address-too-long/);
  });
});

test("the guest is told method, path, query, headers and trace as they came, and who called", async () => {
  await onStage({}, async (stage) => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const answer = call(`${stage.url}${FUNCTION}/a%20b/?q=1&q=2`, {
      method: "DELETE",
      headers: { "X-Odd": "\u00e9", traceparent },
    });
    const invoked = await stage.invoked();
    const { request, trace, ...head } = invoked.head;
    assert.deepEqual([request?.method, request?.path, request?.query], ["DELETE", "/a%20b/", "q=1&q=2"]);
    assert.equal(trace, traceparent);
    const header = (name: string) => request!.headers[request!.headers.indexOf(name) + 1];
    assert.equal(header("X-Odd"), "\u00e9");
    assert.equal(header("X-Forwarded-For"), "127.0.0.1");
    assert.deepEqual([head.app, head.function, head.revision], ["app", "f", "r1"]);
    invoked.answer(200, [], "");
    assert.equal((await answer).headers["colibri-invocation-id"], head.id);
    const broken = call(stage.url + FUNCTION, { headers: { traceparent: '00-","x":"' } });
    const without = await stage.invoked();
    assert.equal(without.head.trace, undefined);
    without.answer(200, [], "");
    await broken;
  });
});

test("the wrong method is told the right ones; a broken encoding is 400", async () => {
  await onStage({ plan: { triggers: [{ method: "PUT", path: "/put/{id}" }] } }, async (stage) => {
    const wrong = await call(`${stage.url}/put/1`);
    assert.deepEqual([wrong.status, wrong.headers.allow], [405, "PUT"]);
    const broken = await call(`${stage.url}/put/%zz`, { method: "PUT" });
    assert.deepEqual([broken.status, broken.headers["colibri-error-code"]], [400, "bad-request"]);
  });
});

test("without a plan: not ready and said so; with one, unknown addresses are 404", async () => {
  await onStageWithoutPlan(async (stage, opened) => {
    const early = await call(stage.url + FUNCTION);
    assert.deepEqual([early.status, early.headers["colibri-error-code"]], [503, "not-ready"]);
    assert.equal(early.headers["retry-after"], "1");
    assert.equal((await call(`${stage.url}/healthz`)).status, 503);
    stage.deploy(planOf("other"));
    await opened;
    const late = await call(stage.url + FUNCTION);
    assert.deepEqual([late.status, late.headers["colibri-error-code"]], [404, "function-not-found"]);
    assert.equal((await call(`${stage.url}/healthz`)).status, 200);
  });
});

test("more invocations under way than the gateway takes are sent away at once", async () => {
  await onStage({ maximumInFlight: 2 }, async (stage) => {
    const taken = [call(stage.url + FUNCTION), call(stage.url + FUNCTION)];
    const invoked = [await stage.invoked(), await stage.invoked()];
    const { status, headers } = await call(stage.url + FUNCTION);
    assert.deepEqual([status, headers["colibri-error-code"], headers["retry-after"]], [503, "overloaded", "1"]);
    for (const each of invoked) each.answer(200, [], "");
    await Promise.all(taken);
    const next = call(stage.url + FUNCTION);
    (await stage.invoked()).answer(200, [], "");
    assert.equal((await next).status, 200);
  });
});

test("respond-async: what the async role says is the answer, and its absence is said", async () => {
  const headers = { Prefer: "respond-async" };
  await onStage({ withAsync: true }, async (stage) => {
    let answer = await call(stage.url + FUNCTION, { headers });
    for (; answer.status === 503; answer = await call(stage.url + FUNCTION, { headers }));
    assert.deepEqual([answer.status, answer.headers["colibri-error-code"]], [501, "async-unavailable"]);
  });
  await onStage({}, async (stage) => {
    const answer = await call(stage.url + FUNCTION, { headers });
    assert.deepEqual([answer.status, answer.headers["colibri-error-code"]], [503, "unavailable"]);
    assert.equal(answer.headers["retry-after"], "1");
  });
});

/** The gateway opens only when it has a plan; it answers before. */
async function onStageWithoutPlan(
  play: (stage: import("./stage.fixture.ts").Stage, opened: Promise<void>) => Promise<void>,
): Promise<void> {
  const { Stage } = await import("./stage.fixture.ts");
  const stage = new Stage({ bare: true });
  const opened = stage.open().then(() => {});
  try {
    await until("it listens", () => stage.gateway.port !== undefined);
    stage.port = stage.gateway.port!;
    await play(stage, within("the opened gateway", opened));
  } finally {
    await stage.close();
  }
}
