import assert from "node:assert/strict";
import { test } from "node:test";
import { createSystemClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { INITIAL_WINDOW, MAXIMUM_CHUNK } from "#contract/guest/link.ts";
import { FLAG_FIN } from "#contract/link/frame.ts";
import { type Answered, call, RawCaller } from "../gateway/caller.fixture.ts";
import { AGENT, type Invoked, onStage, planOf, type Stage, until } from "../gateway/stage.fixture.ts";
import type { StartEvents } from "./dispatcher.ts";

const EXCLUSIVE = { concurrency: 1 } as const;

const ask = (stage: Stage): Promise<Answered> => call(`${stage.url}/fn/app/f`);

function said({ status, headers }: Answered): [status: number, code: unknown, message: unknown] {
  return [status, headers["colibri-error-code"], headers["colibri-error-message"]];
}

/** `count` invocations that run at once. */
async function several(stage: Stage, count: number): Promise<{ answers: Promise<Answered>[]; invoked: Invoked[] }> {
  const answers = Array.from({ length: count }, () => ask(stage));
  const invoked: Invoked[] = [];
  for (let index = 0; index < count; index++) invoked.push(await stage.invoked());
  return { answers, invoked };
}

async function recordOf(stage: Stage, { head }: Invoked) {
  await until("its record", () => stage.records().some(({ id }) => id === head.id));
  const records = stage.records().filter(({ id }) => id === head.id);
  assert.equal(records.length, 1, "one record for one invocation");
  return records[0]!;
}

test("slots: shared up to the concurrency, then another sandbox; exclusive sandboxes run one at a time", async () => {
  for (const [concurrency, sandboxes] of [
    [4, 1],
    [2, 2],
    [1, 4],
  ] as const) {
    await onStage({ plan: { concurrency } }, async (stage) => {
      const { answers, invoked } = await several(stage, 4);
      assert.equal(new Set(invoked.map(({ sandbox }) => sandbox)).size, sandboxes);
      for (const each of invoked) each.answer(200, [], "");
      for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
    });
  }
});

test("the most recently used sandbox is used again", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const { answers, invoked } = await several(stage, 3);
    for (const index of [2, 0, 1]) {
      invoked[index]!.answer(200, [], "");
      await answers[index];
    }
    await until("all slots are free", () => stage.running === 0);
    for (let round = 0; round < 3; round++) {
      const answer = ask(stage);
      const next = await stage.invoked();
      assert.equal(next.sandbox, invoked[1]!.sandbox);
      next.answer(200, [], "");
      await answer;
      await until("its slot is free", () => stage.running === 0);
    }
  });
});

test("who waits takes the slot that is freed first, in order of arrival", async () => {
  await onStage({ plan: { ...EXCLUSIVE, max: 1 } }, async (stage) => {
    const first = ask(stage);
    let running = await stage.invoked();
    const waiting: Promise<Answered>[] = [];
    for (let index = 0; index < 3; index++) {
      waiting.push(call(`${stage.url}/fn/app/f/${index}`));
      await until("it waits", () => stage.settle.inFlight === index + 2);
    }
    running.answer(200, [], "");
    assert.equal((await first).status, 200);
    for (const [index, answer] of waiting.entries()) {
      running = await stage.invoked();
      assert.equal(running.head.request?.path, `/${index}`);
      running.answer(200, [], "");
      await answer;
    }
    assert.equal(stage.sandboxes.length, 1);
  });
});

test("a full queue: 429 with Retry-After and the numbers", async () => {
  await onStage({ plan: { ...EXCLUSIVE, max: 1, queueLength: 1 } }, async (stage) => {
    const first = ask(stage);
    const running = await stage.invoked();
    const second = ask(stage);
    await until("it waits", () => stage.settle.inFlight === 2);
    const refused = await ask(stage);
    assert.deepEqual(said(refused).slice(0, 2), [429, "concurrency-limit"]);
    assert.match(String(said(refused)[2]), /^1 invocation waits already, for 1 sandbox at most with 1 slot each$/);
    assert.equal(refused.headers["retry-after"], "1");
    running.answer(200, [], "");
    (await stage.invoked()).answer(200, [], "");
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    const record = stage.records().find(({ outcome }) => outcome === "concurrency-limit");
    assert.deepEqual([record?.status, record?.sandbox, record?.runMs], [429, "", 0]);
  });
});

test("waiting too long: 504, with why the last start failed", async () => {
  await onStage({ plan: { ...EXCLUSIVE, queueTimeoutMs: 100 }, startFails: 1 }, async (stage) => {
    const answer = await ask(stage);
    assert.deepEqual(said(answer).slice(0, 2), [504, "queue-timeout"]);
    assert.match(
      String(said(answer)[2]),
      /^no slot was free within 100 ms; the last start failed: .*simulated failure/,
    );
    assert.equal(stage.records()[0]?.status, 504);
  });
});

test("no room on the host: 503 at once", async () => {
  await onStage({ capacityMiB: 100 }, async (stage) => {
    const [status, code, message] = said(await ask(stage));
    assert.deepEqual([status, code], [503, "no-capacity"]);
    assert.match(String(message), /no sandbox of 128 MiB can ever start here/);
  });
});

test("before ACCEPTED an invocation is sent once more when its sandbox goes, and not a third time", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const answer = ask(stage);
    const first = await stage.invoked();
    await stage.kill(first.sandbox);
    const second = await stage.invoked();
    assert.equal(second.head.id, first.head.id);
    assert.notEqual(second.sandbox, first.sandbox);
    await stage.kill(second.sandbox);
    const [status, code, message] = said(await answer);
    assert.deepEqual([status, code], [502, "sandbox-lost"]);
    assert.match(String(message), /before it took the invocation/);
    assert.equal(stage.unanswered, 0);
    const record = await recordOf(stage, first);
    assert.deepEqual([record.outcome, record.status, record.sandbox], ["sandbox-lost", 502, second.sandbox]);
  });
});

test("after ACCEPTED it is never sent again: 502 with how its process ended", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const answer = ask(stage);
    const first = (await stage.invoked()).accept();
    await until("ACCEPTED has arrived", () => [...stage.dispatch.revisions()][0]!.running === 1);
    const neighbour = ask(stage);
    (await stage.invoked()).answer(200, [], "unharmed");
    assert.equal((await neighbour).body, "unharmed");
    await stage.kill(first.sandbox, "exited with code 3");
    assert.deepEqual(said(await answer), [502, "function-exited", "the function's process exited with code 3"]);
    assert.equal(stage.unanswered, 0);
    const record = await recordOf(stage, first);
    assert.deepEqual([record.outcome, record.status, record.sandbox], ["function-exited", 502, first.sandbox]);
  });
});

test("ACCEPTED speaks for the streams before it too", async () => {
  await onStage({ plan: { concurrency: 2 } }, async (stage) => {
    const { answers, invoked } = await several(stage, 2);
    invoked[1]!.accept().begin(200).data("seen", true);
    await Promise.race(answers);
    await stage.kill(invoked[0]!.sandbox);
    const statuses = (await Promise.all(answers)).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 502]);
    assert.equal(stage.unanswered, 0);
  });
});

test("a body that was streamed can't be sent twice", async () => {
  await onStage({}, async (stage) => {
    const headers = { "Transfer-Encoding": "chunked" };
    const answer = call(`${stage.url}/fn/app/f`, { method: "POST", headers, body: "body" });
    const first = await stage.invoked();
    await until("the body has gone", () => first.bodyEnded);
    await stage.kill(first.sandbox);
    assert.deepEqual(said(await answer).slice(0, 2), [502, "sandbox-lost"]);
    assert.equal(stage.unanswered, 0);
  });
});

test("a body larger than the window goes as the guest takes it, whole", async () => {
  await onStage({}, async (stage) => {
    const body = Buffer.alloc(900_000, "0123456789");
    const answer = call(`${stage.url}/fn/app/f`, { method: "POST", body });
    const invoked = await stage.invoked();
    for (let given = 0; !invoked.bodyEnded; ) {
      await until("the window's worth", () => invoked.bodyEnded || invoked.body.length === INITIAL_WINDOW + given);
      const taken = invoked.body.length - given;
      if (invoked.bodyEnded) break;
      invoked.window(taken);
      given += taken;
    }
    assert.ok(invoked.body.equals(body));
    invoked.answer(200, [], "");
    assert.equal((await answer).status, 200);
  });
});

test("MISROUTED: sent elsewhere, once; the sandbox gets nothing more and goes", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const answer = ask(stage);
    const first = await stage.invoked();
    first.misroute("full");
    const second = await stage.invoked();
    assert.equal(second.head.id, first.head.id);
    assert.notEqual(second.sandbox, first.sandbox);
    second.answer(200, [], "elsewhere");
    assert.equal((await answer).body, "elsewhere");
    await until("the sandbox that refused is gone", () => !stage.sandboxes.includes(first.sandbox));
    const again = ask(stage);
    const third = await stage.invoked();
    third.misroute("draining");
    const fourth = await stage.invoked();
    fourth.misroute("unbound");
    assert.deepEqual(said(await again), [502, "sandbox-lost", "the sandbox refused the invocation: unbound"]);
    assert.equal((await recordOf(stage, third)).sandbox, fourth.sandbox);
    assert.equal(stage.unanswered, 0);
  });
});

test("MISROUTED leaves the neighbours to finish", async () => {
  await onStage({ plan: { concurrency: 2 } }, async (stage) => {
    const { answers, invoked } = await several(stage, 2);
    invoked[0]!.accept();
    invoked[1]!.misroute("draining");
    const elsewhere = await stage.invoked();
    elsewhere.answer(200, [], "elsewhere");
    invoked[0]!.answer(200, [], "finished");
    assert.deepEqual((await Promise.all(answers)).map(({ body }) => body).sort(), ["elsewhere", "finished"]);
  });
});

test("past the deadline: 504 at once and a CANCEL; a guest that lets go keeps its sandbox", async () => {
  await onStage({ plan: { ...EXCLUSIVE, timeoutMs: 50 } }, async (stage) => {
    const answer = ask(stage);
    const invoked = (await stage.invoked()).accept();
    const timedOut = await answer;
    assert.deepEqual(said(timedOut).slice(0, 2), [504, "function-timeout"]);
    assert.match(String(said(timedOut)[2]), /within its timeout of 50 ms/);
    assert.equal(await invoked.cancelled.promise, "deadline");
    invoked.end({ outcome: "cancelled" });
    await until("the slot is free", () => stage.running === 0);
    const next = ask(stage);
    const after = await stage.invoked();
    assert.equal(after.sandbox, invoked.sandbox);
    after.answer(200, [], "");
    assert.equal((await next).status, 200);
    assert.deepEqual(
      [(await recordOf(stage, invoked)).outcome, (await recordOf(stage, invoked)).status],
      ["function-timeout", 504],
    );
  });
});

test("past the deadline a guest may send what the window still holds, and no more", async () => {
  const lines: string[] = [];
  const log = createLog({ clock: createSystemClock(), write: (line) => void lines.push(line) }, { level: "debug" });
  await onStage({ plan: { ...EXCLUSIVE, timeoutMs: 50 }, log }, async (stage) => {
    const late = ask(stage);
    const invoked = (await stage.invoked()).accept();
    assert.equal((await late).status, 504);
    invoked.begin(200);
    for (let sent = 0; sent < INITIAL_WINDOW; sent += MAXIMUM_CHUNK) invoked.data(Buffer.alloc(MAXIMUM_CHUNK));
    invoked.data("x");
    await until("the breach is told", () => lines.some((line) => line.includes("more bytes than the window allows")));
    await until("the sandbox is gone", () => !stage.sandboxes.includes(invoked.sandbox));
  });
});

test("past the deadline in the middle of an answer: broken off", async () => {
  await onStage({ plan: { timeoutMs: 50 } }, async (stage) => {
    const answer = ask(stage);
    const invoked = (await stage.invoked()).begin(200).data("half");
    await assert.rejects(answer);
    assert.deepEqual((await recordOf(stage, invoked)).outcome, "function-timeout");
    invoked.end({ outcome: "cancelled" });
  });
});

test("one that does not let go: nothing new goes there, after a grace it is killed, and neighbours learn why", async () => {
  await onStage({ plan: { concurrency: 2, timeoutMs: 8_000 } }, async (stage) => {
    const stuck = ask(stage);
    const { sandbox } = (await stage.invoked()).accept();
    // The neighbour's own deadline comes after the other's grace.
    stage.clock.skip(4_000);
    const neighbour = ask(stage);
    assert.equal((await stage.invoked()).accept().sandbox, sandbox);
    stage.clock.skip(4_000);
    assert.equal((await stuck).status, 504);
    const other = ask(stage);
    const elsewhere = await stage.invoked();
    assert.notEqual(elsewhere.sandbox, sandbox);
    elsewhere.answer(200, [], "");
    assert.equal((await other).status, 200);
    assert.ok(stage.sandboxes.includes(sandbox));
    const [status, code, message] = said(await neighbour);
    assert.deepEqual([status, code], [502, "sandbox-lost"]);
    assert.match(String(message), /ran past its timeout of 8000 ms and did not stop when cancelled/);
    await until("the sandbox is gone", () => !stage.sandboxes.includes(sandbox));
  });
});

test("a sandbox to be killed while the agent is away is killed when it is back", async () => {
  await onStage({ plan: { ...EXCLUSIVE, timeoutMs: 50 } }, async (stage) => {
    const stuck = ask(stage);
    const { sandbox } = (await stage.invoked()).accept();
    stage.network.refuse(AGENT, true);
    stage.network.cut(AGENT);
    assert.equal((await stuck).status, 504);
    stage.clock.skip(1_000);
    const states = () => [...stage.dispatch.revisions()].map(({ sandboxes }) => sandboxes.get(sandbox)?.state);
    await until("its kill is wanted", () => states().includes("draining"));
    assert.ok(stage.sandboxes.includes(sandbox));
    stage.network.refuse(AGENT, false);
    await until("the sandbox is gone", () => !stage.sandboxes.includes(sandbox));
    await until("its slot is given up", () => stage.running === 0);
  });
});

const VIOLATIONS: Readonly<Record<string, (invoked: Invoked) => void>> = {
  "END without an answer": (invoked) => invoked.end({ outcome: "ok" }),
  "END with a code that is not a guest's": (invoked) => invoked.fail("no-capacity", "x"),
  "END with a code that is none": (invoked) => invoked.fail("nonsense", "x"),
  "END in the middle of an answer": (invoked) => invoked.begin(200).data("half").end({ outcome: "ok" }),
  "a second HEAD": (invoked) => invoked.begin(200).begin(200),
  "DATA before HEAD": (invoked) => invoked.data("x"),
  "a HEAD that is not JSON": (invoked) => invoked.send("HEAD", FLAG_FIN, "{"),
  "a HEAD with a status that is none": (invoked) => invoked.begin(99),
  "a HEAD that switches protocols": (invoked) => invoked.begin(101),
  "a stream that was never opened": (invoked) => invoked.accept().link.send(0x13, 0, 77, "", null),
  "ACCEPTED of a stream that was never opened": (invoked) => invoked.accept().link.send(0x11, 0, 77, "", null),
  "a frame type that is none": (invoked) => invoked.accept().link.send(0x1f, 0, invoked.stream, "", null),
  "a control frame on the data stream": (invoked) => invoked.accept().send("READY", 0, { durationMs: 1 }),
  "the data stream refused as a whole": (invoked) => invoked.accept().link.send(0x17, 0, 0, '{"reason":"epoch"}', null),
  "MISROUTED after ACCEPTED": (invoked) => invoked.accept().misroute("full"),
  "more window than was used": (invoked) => invoked.accept().window(1),
  "window that is none": (invoked) => invoked.accept().window(-1),
  "ACCEPTED again and again": (invoked) => {
    for (let sent = 0; sent < 1_100; sent++) invoked.accept();
  },
  "DATA with nothing in it, again and again": (invoked) => {
    invoked.begin(200);
    for (let sent = 0; sent < 1_100; sent++) invoked.data("");
  },
  "more bytes than the window allows": (invoked) => {
    invoked.begin(200);
    for (let sent = 0; sent <= INITIAL_WINDOW; sent += MAXIMUM_CHUNK) invoked.data(Buffer.alloc(MAXIMUM_CHUNK));
  },
};

test("what breaks the guest protocol: 502, the sandbox is replaced, those in other sandboxes are unharmed", async (t) => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    for (const [what, violate] of Object.entries(VIOLATIONS)) {
      await t.test(what, async () => {
        const { answers, invoked } = await several(stage, 2);
        const [bad, good] = invoked as [Invoked, Invoked];
        violate(bad);
        await until("the sandbox is gone", () => !stage.sandboxes.includes(bad.sandbox));
        good.answer(200, [], "unharmed");
        const settled = await Promise.allSettled(answers);
        assert.deepEqual(
          settled
            .flatMap((each) => (each.status === "fulfilled" ? [each.value.body] : []))
            .filter((body) => !body.startsWith("{")),
          ["unharmed"],
        );
        const record = await recordOf(stage, bad);
        assert.deepEqual([record.outcome, record.sandbox], ["guest-violation", bad.sandbox]);
        assert.equal((await recordOf(stage, good)).outcome, "ok");
        const failed = settled.find((each) => each.status === "fulfilled" && each.value.status !== 200);
        if (failed?.status === "fulfilled") assert.deepEqual(said(failed.value).slice(0, 2), [502, "guest-violation"]);
        else assert.ok(settled.some(({ status }) => status === "rejected"));
      });
    }
  });
});

test("a load that fails: its message reaches all who wait, and those who come at once after", async () => {
  await onStage({ behaviour: { loadFails: 1 } }, async (stage) => {
    for (const answer of await Promise.all([ask(stage), ask(stage)])) {
      const [status, code, message] = said(answer);
      assert.deepEqual([status, code], [500, "load-failed"]);
      assert.match(String(message), /simulated syntax error/);
    }
    const at = performance.now();
    assert.equal(said(await ask(stage))[1], "load-failed");
    assert.ok(performance.now() - at < 5_000);
    await until("no sandbox stays", () => stage.sandboxes.length === 0);
    assert.equal(stage.records()[0]?.status, 500);
  });
});

test("an init that fails: its message reaches the caller, and it is tried again in the same sandbox; who asks is told of both", async () => {
  const told: string[] = [];
  const starts: StartEvents = {
    started: ({ function: name, revision }) => told.push(`${name} ${revision} started`),
    startFailed: ({ function: name, revision }, { code }) => told.push(`${name} ${revision} ${code}`),
  };
  await onStage({ behaviour: { initFails: 1 }, starts }, async (stage) => {
    const [status, code, message] = said(await ask(stage));
    assert.deepEqual([status, code], [500, "init-failed"]);
    assert.match(String(message), /simulated failure of init/);
    assert.deepEqual(told, ["f r1 init-failed"]);
    const [sandbox] = stage.sandboxes;
    // The guest has its behaviour since LOAD.
    Object.assign(stage.behaviour, { initFails: 0 });
    let answer = ask(stage);
    const invoked = stage.invoked();
    for (;;) {
      const next = await Promise.race([answer, invoked]);
      if (!("status" in next)) {
        assert.equal(next.sandbox, sandbox);
        next.answer(200, [], "initialised");
        break;
      }
      assert.equal(said(next)[1], "init-failed");
      answer = ask(stage);
    }
    assert.equal((await answer).body, "initialised");
    assert.equal(told.filter((line) => line === "f r1 started").length, 1);
    assert.deepEqual(stage.sandboxes, [sandbox]);
  });
});

test("a new revision takes over without a failed request; the old one finishes and goes", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const before = ask(stage);
    const old = await stage.invoked();
    stage.deploy(planOf("f", { ...EXCLUSIVE, revision: "r2" }));
    const after = ask(stage);
    const fresh = await stage.invoked();
    assert.deepEqual([old.head.revision, fresh.head.revision], ["r1", "r2"]);
    fresh.answer(200, [], "new");
    old.answer(200, [], "old");
    assert.deepEqual([(await before).body, (await after).body], ["old", "new"]);
    await until("the old sandbox is gone", () => !stage.sandboxes.includes(old.sandbox));
    assert.ok(stage.sandboxes.includes(fresh.sandbox));
  });
});

test("a request whose body comes while its revision is replaced goes to the new one; while it is deleted, gets 404", async () => {
  await onStage({}, async (stage) => {
    const post = () =>
      new RawCaller(stage.port).send(
        "POST /fn/app/f HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbo",
      );
    const replaced = post();
    await stage.sees(replaced);
    stage.deploy(planOf("f", { revision: "r2" }));
    replaced.send("dy");
    const invoked = await stage.invoked();
    assert.equal(invoked.head.revision, "r2");
    invoked.answer(200, [], "");
    assert.match(await replaced.over(), /^HTTP\/1\.1 200 /);
    const deleted = post();
    await stage.sees(deleted);
    stage.remove("f");
    deleted.send("dy");
    assert.match(await deleted.over(), /^HTTP\/1\.1 404 [\s\S]*the function was deleted/);
    assert.deepEqual(
      stage.records().map(({ outcome, revision }) => [outcome, revision]),
      [
        ["ok", "r2"],
        ["function-not-found", "r2"],
      ],
    );
  });
});

test("a function that is deleted: who waits is told, who runs finishes, its sandboxes go", async () => {
  await onStage({ plan: { ...EXCLUSIVE, max: 1 } }, async (stage) => {
    const first = ask(stage);
    const running = await stage.invoked();
    const waiting = ask(stage);
    await until("it waits", () => stage.settle.inFlight === 2);
    stage.remove("f");
    assert.deepEqual(said(await waiting), [404, "function-not-found", "the function was deleted"]);
    assert.equal((await ask(stage)).status, 404);
    running.answer(200, [], "finished");
    assert.equal((await first).body, "finished");
    await until("its sandbox is gone", () => stage.sandboxes.length === 0);
  });
});

test("one that would be sent again after its function was deleted is told so", async () => {
  await onStage({ plan: EXCLUSIVE }, async (stage) => {
    const answer = ask(stage);
    const { sandbox } = await stage.invoked();
    stage.remove("f");
    await stage.kill(sandbox);
    assert.deepEqual(said(await answer), [404, "function-not-found", "the function was deleted"]);
    await until("nothing is started for it", () => stage.sandboxes.length === 0);
  });
});

test("the minimum is there without a request, and after a death; beyond it idle sandboxes go", async () => {
  await onStage({ plan: { ...EXCLUSIVE, min: 1, keepAliveMs: 1 } }, async (stage) => {
    const ready = () => [...stage.dispatch.revisions()].reduce((sum, revision) => sum + revision.ready, 0);
    await until("the minimum", () => ready() === 1);
    const [first] = stage.sandboxes;
    await stage.kill(first!);
    await until("the minimum again", () => ready() === 1 && !stage.sandboxes.includes(first!));
    const { answers, invoked } = await several(stage, 3);
    assert.equal(stage.sandboxes.length, 3);
    for (const each of invoked) each.answer(200, [], "");
    await Promise.all(answers);
    await until("only the minimum is left", () => stage.sandboxes.length === 1);
  });
});

test("never more sandboxes than the maximum", async () => {
  await onStage({ plan: { ...EXCLUSIVE, max: 2 } }, async (stage) => {
    const answers = Array.from({ length: 6 }, () => ask(stage));
    for (let index = 0; index < 6; index++) {
      (await stage.invoked()).answer(200, [], "");
      assert.ok(stage.sandboxes.length <= 2);
    }
    for (const { status } of await Promise.all(answers)) assert.equal(status, 200);
  });
});
