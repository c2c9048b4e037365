import assert from "node:assert/strict";
import { test } from "node:test";
import { INITIAL_WINDOW, MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import { FLAG_FIN } from "#contract/link/frame.ts";
import { call, exchangeRaw, RawCaller } from "./caller.fixture.ts";
import { onStage, type Stage, type StageOptions, until } from "./stage.fixture.ts";

const FUNCTION = "/fn/app/f";
const request = (method = "GET") => `${method} ${FUNCTION} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`;

/** One request, answered by `answer`, as the bytes that the caller sees. */
async function rawAnswer(
  stage: Stage,
  answer: (invoked: Awaited<ReturnType<Stage["invoked"]>>) => void,
  method = "GET",
): Promise<string> {
  const caller = new RawCaller(stage.port).send(request(method));
  answer(await stage.invoked());
  return await caller.over();
}

async function lastRecord(stage: Stage) {
  await until("the record", () => stage.settle.inFlight === 0);
  return stage.records().at(-1)!;
}

test("an answer: status, headers, body, and what the platform adds", async () => {
  await onStage({}, async (stage) => {
    const answer = call(stage.url + FUNCTION);
    const invoked = await stage.invoked();
    invoked.answer(201, ["X-One", "1", "Set-Cookie", "a=1", "Set-Cookie", "b=2"], "made");
    const { status, headers, body } = await answer;
    assert.deepEqual([status, body, headers["x-one"], headers["content-length"]], [201, "made", "1", "4"]);
    assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
    assert.equal(headers["colibri-invocation-id"], invoked.head.id);
    assert.match(headers["server-timing"] as string, /^wait;dur=[\d.]+, cold;dur=[\d.]+, run;dur=[\d.]+$/);
    assert.equal(headers["colibri-error-code"], undefined);
  });
});

test("headers of the connection and of the platform are not the function's to set", async () => {
  await onStage({}, async (stage) => {
    const text = await rawAnswer(stage, (invoked) =>
      invoked.answer(
        200,
        [
          "Connection",
          "keep-alive",
          "Transfer-Encoding",
          "chunked",
          "Upgrade",
          "x",
          "Colibri-Error-Code",
          "faked",
          "Ok",
          "1",
        ],
        "body",
      ),
    );
    assert.ok(!/transfer-encoding|upgrade|faked|keep-alive/i.test(text), text);
    assert.match(text, /\r\nOk: 1\r\n/);
    assert.match(text, /\r\nContent-Length: 4\r\n[\s\S]*\r\n\r\nbody$/);
  });
});

test("204 and 304 have no body and no length, whole or streamed", async () => {
  await onStage({}, async (stage) => {
    for (const status of [204, 304]) {
      for (const streamed of [false, true]) {
        const text = await rawAnswer(stage, (invoked) => {
          if (streamed) invoked.begin(status, ["Content-Length", "4"]).data("body", true);
          else invoked.answer(status, ["Content-Length", "4"], "body");
        });
        assert.match(text, new RegExp(`^HTTP/1\\.1 ${status} `));
        assert.ok(text.endsWith("\r\n\r\n") && !/content-length|transfer-encoding/i.test(text), text);
      }
    }
  });
});

test("HEAD: the headers of the answer without its body, also where the function sent one", async () => {
  await onStage({}, async (stage) => {
    const whole = await rawAnswer(stage, (invoked) => void invoked.answer(200, [], "body"), "HEAD");
    assert.match(whole, /\r\nContent-Length: 4\r\n/);
    const declared = await rawAnswer(stage, (invoked) => void invoked.answer(200, ["Content-Length", "9"], ""), "HEAD");
    assert.match(declared, /\r\nContent-Length: 9\r\n/);
    const big = Buffer.alloc(INITIAL_WINDOW, "x");
    const streamed = await rawAnswer(stage, (invoked) => void invoked.begin(200).data(big, true), "HEAD");
    for (const text of [whole, declared, streamed]) assert.ok(text.endsWith("\r\n\r\n"), text.slice(0, 400));
    assert.equal((await lastRecord(stage)).outcome, "ok");
  });
});

test("a streamed answer: in chunks without a length, by its length with one; an older client gets it until the close", async () => {
  await onStage({}, async (stage) => {
    const chunked = await rawAnswer(stage, (invoked) => void invoked.begin(200).data("one").data("two").data("", true));
    assert.match(chunked, /transfer-encoding: chunked/i);
    assert.ok(chunked.endsWith("3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"), chunked);
    const counted = await rawAnswer(
      stage,
      (invoked) => void invoked.begin(200, ["Content-Length", "6"]).data("one").data("two", true),
    );
    assert.ok(counted.endsWith("\r\n\r\nonetwo") && !/transfer-encoding/i.test(counted), counted);
    const older = new RawCaller(stage.port).send(`GET ${FUNCTION} HTTP/1.0\r\n\r\n`);
    (await stage.invoked()).begin(200).data("one").data("two", true);
    assert.ok((await older.over()).endsWith("\r\n\r\nonetwo"));
  });
});

test("an answer that comes whole gets its true length, whatever the function said", async () => {
  await onStage({}, async (stage) => {
    const text = await rawAnswer(stage, (invoked) => void invoked.answer(200, ["Content-Length", "100"], "four"));
    assert.match(text, /\r\nContent-Length: 4\r\n/);
  });
});

test("a streamed answer longer or shorter than declared is broken off, and the record says whose fault it was", async () => {
  await onStage({}, async (stage) => {
    for (const [sent, last] of [
      ["12345", false],
      ["12345", true],
      ["123", true],
    ] as const) {
      const answer = call(stage.url + FUNCTION);
      const invoked = await stage.invoked();
      invoked.begin(200, ["Content-Length", "4"]).data(sent, last);
      await assert.rejects(answer, `${sent}, last: ${last}`);
      if (!last) {
        assert.equal(await invoked.cancelled.promise, "client");
        invoked.end({ outcome: "cancelled" });
      }
      const record = await lastRecord(stage);
      assert.deepEqual([record.outcome, record.status], ["answer-invalid", 200]);
      await until("the slot is free", () => stage.running === 0);
    }
  });
});

test("a header that HTTP does not allow is the function's error", async () => {
  await onStage({}, async (stage) => {
    const answer = call(stage.url + FUNCTION);
    const invoked = await stage.invoked();
    invoked.begin(200, ["X-Evil", "a\r\nSet-Cookie: b=1"]);
    const { status, headers } = await answer;
    assert.deepEqual([status, headers["colibri-error-code"]], [500, "answer-invalid"]);
    assert.match(headers["colibri-error-message"] as string, /X-Evil/);
    assert.equal(headers["set-cookie"], undefined);
    assert.equal(await invoked.cancelled.promise, "client");
    invoked.data("goes nowhere", true);
    await until("the slot is free", () => stage.running === 0);
    const record = await lastRecord(stage);
    assert.deepEqual([record.outcome, record.status], ["answer-invalid", 500]);
  });
});

test("what a function throws reaches its caller on one line, printable, with the details in the body", async () => {
  await onStage({}, async (stage) => {
    const answer = call(stage.url + FUNCTION);
    (await stage.invoked()).fail("function-error", `broken\r\nX-Evil: 1 \u{1f600}${"y".repeat(1_000)}`);
    const { status, headers, body } = await answer;
    assert.deepEqual([status, headers["colibri-error-code"], headers["x-evil"]], [500, "function-error", undefined]);
    assert.match(headers["colibri-error-message"] as string, /^broken X-Evil: 1 +y+$/);
    assert.equal((headers["colibri-error-message"] as string).length, 512);
    assert.equal(headers["retry-after"], undefined);
    const problem = JSON.parse(body);
    assert.deepEqual([problem.code, problem.status], ["function-error", 500]);
    assert.match(problem.detail, /\u{1f600}/u);
    assert.equal(problem.invocation, headers["colibri-invocation-id"]);
  });
});

test("an error after the head breaks the answer off, behind all that came before it", async () => {
  await onStage({}, async (stage) => {
    for (const headers of [[], ["Content-Length", "300000"]]) {
      const half = "half ".repeat(20_000);
      const text = await rawAnswer(stage, (invoked) =>
        invoked.begin(200, headers).data(half).data(half).fail("function-error", "later"),
      );
      const body = text.slice(text.indexOf("\r\n\r\n") + 4).replace(/(^|\r\n)[0-9a-f]+\r\n/g, "");
      assert.ok(body.replace(/\r\n$/, "") === half + half, `${body.length} characters came`);
      assert.ok(!text.endsWith("0\r\n\r\n"), "the answer looks complete");
      const record = await lastRecord(stage);
      assert.deepEqual([record.outcome, record.status], ["function-error", 200]);
      await assert.rejects(async () => {
        const answer = call(stage.url + FUNCTION);
        (await stage.invoked()).begin(200, headers).data("half").fail("function-error", "later");
        await answer;
      }, /broken off|aborted|ECONNRESET|hang up/);
    }
  });
});

test("a caller that does not read stops the guest by its window, and starts it again when it reads", async () => {
  await onStage({ plan: { timeoutMs: 20_000 } }, async (stage) => {
    const caller = new RawCaller(stage.port);
    caller.socket.pause();
    caller.send(request());
    const invoked = await stage.invoked();
    invoked.begin(200);
    const total = 16 * 1024 * 1024;
    const chunk = Buffer.alloc(MAXIMUM_CHUNK, "x");
    let sent = 0;
    const pump = () => {
      while (sent < total && sent + chunk.length <= INITIAL_WINDOW + invoked.credit) {
        sent += chunk.length;
        invoked.data(chunk, sent === total);
      }
    };
    // The kernel's buffers take some; when nothing more is granted for a while, the guest stands.
    let stoodFor = 0;
    for (let before = -1; stoodFor < 20; before = sent) {
      pump();
      stoodFor = before === sent ? stoodFor + 1 : 0;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.ok(sent < total, "the guest was never stopped");
    caller.socket.resume();
    while (sent < total) {
      await until("more window", () => sent + chunk.length <= INITIAL_WINDOW + invoked.credit);
      pump();
    }
    const text = await caller.over();
    assert.equal(text.split("x").length - 1, total);
    assert.equal((await lastRecord(stage)).answerBytes, total);
  });
});

test("a caller that leaves while its function runs, or answers: cancelled, and the slot is taken until the guest lets go", async () => {
  await onStage({ plan: { max: 1, concurrency: 1 } }, async (stage) => {
    for (const answering of [false, true]) {
      const caller = new RawCaller(stage.port).send(request());
      const invoked = await stage.invoked();
      if (answering) {
        invoked.begin(200).data("begun");
        await caller.has("begun");
      }
      caller.leave();
      assert.equal(await invoked.cancelled.promise, "client");
      const record = await lastRecord(stage);
      assert.deepEqual([record.outcome, record.status], ["client-closed", answering ? 200 : 499]);
      assert.equal(record.sandbox, invoked.sandbox);
      const next = call(stage.url + FUNCTION);
      await until("the next one waits", () => stage.settle.inFlight === 1);
      assert.deepEqual([stage.running, stage.unanswered], [1, 0]);
      if (answering) invoked.data("", true);
      else invoked.end({ outcome: "cancelled" });
      (await stage.invoked()).answer(200, [], "next");
      assert.equal((await next).body, "next");
    }
  });
});

test("a caller that leaves while it waits takes no slot", async () => {
  await onStage({ plan: { max: 1, concurrency: 1 } }, async (stage) => {
    const first = call(stage.url + FUNCTION);
    const running = await stage.invoked();
    const caller = new RawCaller(stage.port).send(request());
    await until("it waits", () => stage.settle.inFlight === 2);
    caller.leave();
    const gone = await until("it left", () => stage.settle.inFlight === 1).then(() => stage.records().at(-1)!);
    assert.deepEqual([gone.outcome, gone.status, gone.sandbox, gone.runMs], ["client-closed", 499, "", 0]);
    running.answer(200, [], "");
    await first;
    assert.deepEqual([stage.running, stage.unanswered], [0, 0]);
  });
});

test("an answer before the body was read: the sender gets it, and the connection is not used again", async () => {
  await onStage({ plan: { bodyBytes: 50_000_000 } }, async (stage) => {
    const bytes = 20_000_000;
    const caller = new RawCaller(stage.port);
    caller.send(`POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\nContent-Length: ${bytes}\r\n\r\n`);
    caller.send("x".repeat(bytes));
    (await stage.invoked()).answer(403, [], "no need");
    await until("all of it was sent", () => caller.closed || caller.socket.writableLength === 0);
    assert.ok(!caller.closed, "the connection was closed on a caller that was sending");
    const text = await caller.over();
    assert.match(text, /^HTTP\/1\.1 403 [\s\S]*\r\nConnection: close\r\n[\s\S]*no need$/i);
    const record = await lastRecord(stage);
    assert.deepEqual([record.outcome, record.status], ["ok", 403]);
  });
});

test("a body that has arrived and was not taken does not stand in the way of the next request", async () => {
  await onStage({}, async (stage) => {
    const caller = new RawCaller(stage.port);
    caller.send(`POST ${FUNCTION} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`);
    const first = await stage.invoked();
    await until("its body", () => first.bodyEnded);
    first.send("HEAD", FLAG_FIN, { status: 200, headers: [] }, Buffer.from("first")).end({ outcome: "ok" });
    await caller.has("first");
    caller.send(request());
    (await stage.invoked()).answer(200, [], "second");
    assert.match(await caller.over(), /second$/);
  });
});

test("health is answered without an invocation, in any state of the function", async () => {
  await onStage({}, async (stage) => {
    assert.match(await exchangeRaw(stage.port, "GET /healthz HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 [\s\S]*ok\n$/);
    assert.deepEqual(stage.records(), []);
  });
});

test("who follows requests knows each one's invocation, its cold start, and why it failed", async () => {
  const seen: (string | undefined)[][] = [];
  const follow: StageOptions["follow"] = (_request, response, followed) =>
    response.once("close", () => {
      const { id, invocation, failure } = followed;
      const start = invocation === undefined ? "none" : invocation.coldMs > 0 ? "cold" : "warm";
      seen.push([
        id === "" ? "" : `${invocation?.id === id}`,
        start,
        invocation?.outcome,
        failure?.code,
        failure?.message,
      ]);
    });
  await onStage({ follow }, async (stage) => {
    const over = (count: number) => until(`${count} are told of`, () => seen.length === count);
    const first = call(stage.url + FUNCTION);
    (await stage.invoked()).answer(200, [], "1");
    await first;
    await over(1);
    const second = call(stage.url + FUNCTION);
    (await stage.invoked()).fail("function-error", "as asked");
    await second;
    await over(2);
    const third = assert.rejects(call(stage.url + FUNCTION));
    (await stage.invoked()).begin(200).data("1").fail("function-error", "too late");
    await third;
    await over(3);
    await call(`${stage.url}/fn/app/absent`);
    await over(4);
    assert.equal(seen[3]?.[3], "function-not-found");
    assert.deepEqual(seen.slice(0, 3), [
      ["true", "cold", "ok", undefined, undefined],
      ["true", "warm", "function-error", "function-error", "as asked"],
      ["true", "warm", "function-error", "function-error", "too late"],
    ]);
    assert.deepEqual(seen[3]?.slice(1, 3), ["none", undefined]);
  });
});
