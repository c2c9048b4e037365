import assert from "node:assert/strict";
import { test } from "node:test";
import { call, exchangeRaw, RawCaller } from "./caller.fixture.ts";
import { SERVER_LIMITS } from "./server.ts";
import { onStage, until } from "./stage.fixture.ts";

const GET = "GET /fn/app/f HTTP/1.1\r\nHost: a\r\n";
const POST = "POST /fn/app/f HTTP/1.1\r\nHost: a\r\n";
const QUICK = { checkEveryMs: 20 };

/** The gateway still serves others. */
async function stillServes(url: string): Promise<void> {
  assert.equal((await call(`${url}/healthz`)).body, "ok\n");
}

const MALFORMED: Readonly<Record<string, string>> = {
  "a method that is none": "FLY / HTTP/1.1\r\nHost: a\r\n\r\n",
  "no method at all": "\x16\x03\x01\x02\x00\x01\r\n\r\n",
  "a version that is none": "GET / HTTP/x\r\nHost: a\r\n\r\n",
  "HTTP/2 without an upgrade": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "a version the parser lets through": "GET / HTTP/2.0\r\nHost: a\r\nConnection: close\r\n\r\n",
  "no Host": "GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
  "two Hosts": "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\nConnection: close\r\n\r\n",
  "Content-Length and chunked": `${POST}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  "chunked and Content-Length": `${POST}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
  "two different Content-Lengths": `${POST}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`,
  "a Content-Length twice": `${POST}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`,
  "a list of Content-Lengths": `${POST}Content-Length: 3, 3\r\n\r\nabc`,
  "a negative Content-Length": `${POST}Content-Length: -3\r\n\r\nabc`,
  "a Content-Length beyond counting": `${POST}Content-Length: 99999999999999999999999\r\n\r\nabc`,
  "chunked hidden behind another coding": `${POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  "a coding that is none": `${POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  "a folded header": `${GET}X: a\r\n b\r\n\r\n`,
  "a space before the colon": `${GET}X : a\r\n\r\n`,
  "a header without a colon": `${GET}nonsense\r\n\r\n`,
  "NUL in a header": `${GET}X: a\0b\r\n\r\n`,
  "NUL in the target": "GET /fn/\0 HTTP/1.1\r\nHost: a\r\n\r\n",
  "a bare line feed": "GET /fn/app/f HTTP/1.1\nHost: a\n\n",
  "a bare carriage return": `${GET}X: a\rY: b\r\n\r\n`,
  "a chunk size that is none": `${POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
  "a chunk size beyond counting": `${POST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n`,
  "a chunk longer than it says": `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n`,
  "a huge chunk extension": `${POST}Transfer-Encoding: chunked\r\n\r\n1;${"x".repeat(20_000)}\r\na\r\n0\r\n\r\n`,
  CONNECT: "CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere\r\n\r\n",
};

test("malformed requests: 400 with the code, the connection closes, others are served", async (t) => {
  await onStage({}, async (stage) => {
    for (const [what, bytes] of Object.entries(MALFORMED)) {
      await t.test(what, async () => {
        const text = await exchangeRaw(stage.port, bytes);
        assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
        assert.match(text, /\r\nColibri-Error-Code: bad-request\r\n/);
        assert.match(text, /\r\nConnection: close\r\n/i);
        const detail = JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4));
        assert.equal(detail.code, "bad-request");
        assert.notEqual(detail.detail, "");
      });
    }
    await stillServes(stage.url);
    await until("nothing is left running", () => stage.settle.inFlight === 0);
  });
});

test("a caller that was refused does not keep its connection by keeping its side open", async () => {
  await onStage({ limits: { connections: 1 } }, async (stage) => {
    const caller = new RawCaller(stage.port).send("nonsense\r\n\r\n");
    await until("the refusal", () => caller.ended);
    const text = await exchangeRaw(stage.port, "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert.match(text, /^HTTP\/1\.1 200 /);
    caller.leave();
  });
});

test("header bytes: up to the limit they pass, beyond it 431", async () => {
  await onStage({ limits: { headerBytes: 4_096 } }, async (stage) => {
    const fits = await exchangeRaw(
      stage.port,
      `${GET.replace("/fn/app/f", "/healthz")}X: ${"x".repeat(3_900)}\r\nConnection: close\r\n\r\n`,
    );
    assert.match(fits, /^HTTP\/1\.1 200 /);
    for (const header of [`X: ${"x".repeat(4_200)}`, `${"x".repeat(4_200)}: x`]) {
      const text = await exchangeRaw(stage.port, `${GET}${header}\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 431 Request Header Fields Too Large\r\n/);
      assert.match(text, /\r\nColibri-Error-Code: headers-too-large\r\n/);
    }
  });
});

test("header count: up to the limit they pass to the function, one more is 431 and none is dropped in silence", async () => {
  await onStage({ limits: { headers: 40 } }, async (stage) => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => `X-${index}: 1\r\n`).join("");
    const answer = new RawCaller(stage.port).send(`${GET}${many(39)}\r\n`);
    const invoked = await stage.invoked();
    assert.equal(invoked.head.request?.headers.filter((name) => /^X-\d+$/.test(name)).length, 39);
    invoked.answer(200, [], "ok");
    await answer.has("200 OK");
    answer.leave();
    for (const count of [40, 41, 200]) {
      const text = await exchangeRaw(stage.port, `${GET}${many(count)}Connection: close\r\n\r\n`);
      assert.match(text, /^HTTP\/1\.1 431 /, `${count + 2} headers`);
      assert.match(text, /headers-too-large/);
    }
  });
});

async function assertTooLate(port: number, bytes: string): Promise<void> {
  const text = await exchangeRaw(port, bytes);
  assert.match(text, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  assert.match(text, /\r\nColibri-Error-Code: request-timeout\r\n/);
}

test("slow headers and silence: 408", async (t) => {
  await onStage({ limits: { ...QUICK, headersTimeoutMs: 150 } }, async (stage) => {
    for (const [what, bytes] of Object.entries({
      "half a request line": "GET /fn/a",
      "half a header": `${GET}X: `,
      silence: "",
    }))
      await t.test(what, () => assertTooLate(stage.port, bytes));
    await stillServes(stage.url);
  });
});

test("slow bodies: 408, and the invocation is let go", async (t) => {
  await onStage({ limits: { ...QUICK, headersTimeoutMs: 150, requestTimeoutMs: 300 } }, async (stage) => {
    await t.test("half of a small body", () => assertTooLate(stage.port, `${POST}Content-Length: 5\r\n\r\nab`));
    await t.test("half of a chunked body", () =>
      assertTooLate(stage.port, `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nab`),
    );
    const invoked = await stage.invoked();
    assert.equal(await invoked.cancelled.promise, "client");
    invoked.end({ outcome: "cancelled" });
    await until("the slot is free", () => stage.running === 0);
    await stillServes(stage.url);
  });
});

test("a connection that idles after its answer is closed", async () => {
  await onStage({ limits: { ...QUICK, keepAliveMs: 50 } }, async (stage) => {
    const text = await exchangeRaw(stage.port, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.match(text, /Connection: keep-alive/i);
  });
});

test("connections beyond the cap are closed, and served again when others have gone", async () => {
  await onStage({ limits: { connections: 2 } }, async (stage) => {
    const ask = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";
    const held = [new RawCaller(stage.port).send(ask), new RawCaller(stage.port).send(ask)];
    for (const caller of held) await caller.has("200 OK");
    assert.equal(await exchangeRaw(stage.port, ask), "");
    for (const caller of held) caller.leave();
    await until("the others have gone", () => held.every(({ closed }) => closed));
    let served = "";
    while (served === "")
      served = await exchangeRaw(stage.port, ask.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n"));
    assert.match(served, /^HTTP\/1\.1 200 /);
  });
});

test("garbage behind a request whose answer is owed: no other answer is taken for it", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(`${GET}\r\n`);
    const invoked = await stage.invoked();
    caller.send("GARBAGE\r\n\r\n");
    assert.equal(await caller.over(), "");
    assert.equal(await invoked.cancelled.promise, "client");
  });
});

test("garbage into an answer that has begun: the answer is broken off, not continued with an error", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(`${POST}Transfer-Encoding: chunked\r\n\r\n`);
    const invoked = await stage.invoked();
    invoked.begin(200).data("begun");
    await caller.has("begun");
    caller.send("zz\r\n");
    const text = await caller.over();
    assert.equal(text.split("HTTP/1.1").length, 2);
    assert.ok(!text.includes("\r\n0\r\n\r\n"), "the answer looks complete");
  });
});

test("the caller's half-close counts as leaving", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(`${GET}\r\n`);
    const invoked = await stage.invoked();
    caller.socket.end();
    assert.equal(await invoked.cancelled.promise, "client");
    await caller.over();
  });
});

test("pipelined requests are answered in the order they came", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(
      `${GET}X-Number: 1\r\n\r\n${GET}X-Number: 2\r\nConnection: close\r\n\r\n`,
    );
    const both = [await stage.invoked(), await stage.invoked()];
    const numberOf = ({ head }: (typeof both)[number]) =>
      head.request!.headers[head.request!.headers.indexOf("X-Number") + 1];
    for (const invoked of both.toReversed()) invoked.answer(200, [], `answer ${numberOf(invoked)}`);
    const text = await caller.over();
    assert.ok(text.indexOf("answer 1") > 0 && text.indexOf("answer 1") < text.indexOf("answer 2"), text);
  });
});

test("an Upgrade that nobody offers is ignored: the function answers as to any request", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(`${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    (await stage.invoked()).answer(200, [], "plain");
    await caller.has("plain");
    assert.match(caller.text, /^HTTP\/1\.1 200 OK\r\n/);
    caller.leave();
  });
});

test("an unknown Expect is 417", async () => {
  await onStage({}, async (stage) => {
    const text = await exchangeRaw(stage.port, `${POST}Expect: a-miracle\r\nContent-Length: 1\r\n\r\n`);
    assert.match(text, /^HTTP\/1\.1 417 /);
    assert.match(text, /\r\nColibri-Error-Code: expectation-failed\r\n/);
    assert.match(text, /a-miracle/);
    assert.equal(stage.unanswered, 0);
  });
});

test("a taken port is said with how to choose another", async () => {
  await onStage({}, async (stage) => {
    const { listen, createEdgeServer } = await import("./server.ts");
    const server = createEdgeServer(() => {}, SERVER_LIMITS);
    await assert.rejects(listen(server, "127.0.0.1", stage.port), {
      code: "unavailable",
      message: `127.0.0.1:${stage.port} is taken: choose another with COLIBRI_PORT and COLIBRI_BIND`,
    });
  });
});

test("closing lets what runs finish, and then closes; twice does no harm", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port).send(`${GET}\r\n`);
    const invoked = await stage.invoked();
    const closed = stage.gateway.close();
    invoked.answer(200, [], "finished");
    await caller.has("finished");
    caller.leave();
    await closed;
    await stage.gateway.close();
  });
});
