import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createLog, createSilentLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { PlatformError } from "#contract/errors.ts";
import type { SandboxDriver } from "#ports/sandbox/index.ts";
import { type Answered, call } from "../gateway/caller.fixture.ts";
import { AGENT, type Invoked, onStage, planOf, type Stage, until } from "../gateway/stage.fixture.ts";
import type { Answer } from "./answer.ts";
import { Dispatcher } from "./dispatcher.ts";
import { Freezing, type FreezingAgent } from "./freezing.ts";
import { HeldSandbox } from "./held-sandbox.ts";
import { Invocation } from "./invocation.ts";
import { RevisionDispatch } from "./revision-dispatch.ts";

/** Less than a grant, so that time can be skipped. */
const PLAN = { concurrency: 1, freezeAfterMs: 8_000, keepAliveMs: 20_000 } as const;

const ask = (stage: Stage): Promise<Answered> => call(`${stage.url}/fn/app/f`);

/** Invocations that run at once in `count` sandboxes, answered one after the other: the last is the one used last. */
async function warm(stage: Stage, count: number): Promise<string[]> {
  const answers = Array.from({ length: count }, () => ask(stage));
  const invoked: Invoked[] = [];
  for (let index = 0; index < count; index++) invoked.push(await stage.invoked());
  for (const each of invoked) each.answer(200, [], "");
  await Promise.all(answers);
  await until("all slots are free", () => stage.running === 0);
  return invoked.map(({ sandbox }) => sandbox);
}

async function frozen(stage: Stage, count: number): Promise<string> {
  const [sandbox] = await warm(stage, count);
  stage.clock.skip(PLAN.freezeAfterMs);
  await until("they are frozen", () => stage.sandboxes.every((each) => stage.stateOf(each) === "frozen"));
  return sandbox!;
}

async function answered(stage: Stage): Promise<string> {
  const answer = ask(stage);
  const invoked = await stage.invoked();
  assert.equal(stage.stateOf(invoked.sandbox), "ready");
  invoked.answer(200, [], "");
  assert.equal((await answer).status, 200);
  await until("the slot is free", () => stage.running === 0);
  return invoked.sandbox;
}

/** The simulated driver with another way to freeze and thaw. */
function withFreezing(change: {
  freeze?: (freeze: () => Promise<void>) => Promise<void>;
  thaw?: (thaw: () => Promise<void>) => Promise<void>;
}): (driver: SandboxDriver) => SandboxDriver {
  return (driver) => ({
    ...driver,
    async start(spec) {
      const sandbox = await driver.start(spec);
      const { freeze = (it) => it(), thaw = (it) => it() } = change;
      return { ...sandbox, freeze: () => freeze(sandbox.freeze), thaw: () => thaw(sandbox.thaw) };
    },
  });
}

describe("dispatch", () => {
  test("what was idle for its time is frozen, what was not goes on; the next invocation thaws it; keep-alive removes it", async () => {
    await onStage({ plan: PLAN }, async (stage) => {
      await warm(stage, 2);
      stage.clock.skip(6_000);
      const used = await answered(stage);
      const [idle] = stage.sandboxes.filter((sandbox) => sandbox !== used);
      stage.clock.skip(3_000);
      await until("the idle one is frozen", () => stage.stateOf(idle!) === "frozen");
      assert.equal(stage.stateOf(used), "ready");
      stage.clock.skip(5_000);
      await until("both are frozen", () => stage.stateOf(used) === "frozen");
      assert.equal(await answered(stage), used, "the one used last");
      assert.equal(stage.stateOf(idle!), "frozen");
      assert.equal(stage.records().at(-1)?.coldMs, 0);
      stage.clock.skip(PLAN.keepAliveMs);
      await until("they are removed", () => stage.sandboxes.length === 0);
    });
  });

  test("one with an invocation is never frozen, however long it takes", async () => {
    await onStage({ plan: { ...PLAN, concurrency: 2, timeoutMs: 100_000 } }, async (stage) => {
      const [long, short] = [ask(stage), ask(stage)];
      const running = [await stage.invoked(), await stage.invoked()];
      assert.equal(running[0]!.sandbox, running[1]!.sandbox);
      const { sandbox } = running[1]!;
      const third = ask(stage);
      const beside = await stage.invoked();
      for (const each of [beside, running[0]!]) each.answer(200, [], "");
      await third;
      await until("one slot is used", () => stage.running === 1);
      stage.clock.skip(PLAN.freezeAfterMs + 1_000);
      await until("there was time to", () => stage.stateOf(beside.sandbox) === "frozen");
      assert.equal(stage.stateOf(sandbox), "ready");
      running[1]!.answer(200, [], "");
      assert.deepEqual([(await long).status, (await short).status], [200, 200]);
    });
  });

  test("warm ones are taken first, then frozen ones, and then one is started", async () => {
    await onStage({ plan: { ...PLAN, max: 3 } }, async (stage) => {
      await frozen(stage, 2);
      const warmed = await answered(stage);
      const answers = [ask(stage), ask(stage), ask(stage)];
      const invoked = [await stage.invoked(), await stage.invoked(), await stage.invoked()];
      assert.equal(invoked[0]!.sandbox, warmed);
      assert.equal(stage.sandboxes.length, 3, "one was started");
      assert.deepEqual(new Set(invoked.map(({ sandbox }) => sandbox)), new Set(stage.sandboxes));
      assert.equal(invoked[1]!.sandbox, stage.sandboxes.filter((each) => each !== warmed)[0], "thawed before started");
      for (const each of invoked) each.answer(200, [], "");
      await Promise.all(answers);
    });
  });

  test("of several frozen ones as many are thawed as the queue needs", async () => {
    await onStage({ plan: { ...PLAN, concurrency: 2 } }, async (stage) => {
      const answers = Array.from({ length: 6 }, () => ask(stage));
      for (let index = 0; index < 6; index++) (await stage.invoked()).accept().answer(200, [], "");
      await Promise.all(answers);
      await until("all slots are free", () => stage.running === 0);
      stage.clock.skip(PLAN.freezeAfterMs);
      const there = stage.sandboxes.length;
      await until("they are frozen", () => stage.sandboxes.every((each) => stage.stateOf(each) === "frozen"));
      const again = [ask(stage), ask(stage)];
      const invoked = [await stage.invoked(), await stage.invoked()];
      assert.equal(invoked[0]!.sandbox, invoked[1]!.sandbox);
      assert.equal(stage.sandboxes.filter((each) => stage.stateOf(each) === "frozen").length, there - 1);
      for (const each of invoked) each.answer(200, [], "");
      await Promise.all(again);
      await until("no start is under way", () => [...stage.dispatch.revisions()][0]!.starting === 0);
      assert.equal(stage.sandboxes.length, there, "none was started");
    });
  });

  test("a freeze that is under way when a request comes is ended, then undone", async () => {
    const told: string[] = [];
    const held = Promise.withResolvers<void>();
    const driver = withFreezing({
      async freeze(freeze) {
        told.push("freeze");
        await held.promise;
        await freeze();
        told.push("frozen");
      },
      async thaw(thaw) {
        told.push("thaw");
        await thaw();
      },
    });
    await onStage({ plan: PLAN, driver }, async (stage) => {
      const [sandbox] = await warm(stage, 1);
      stage.clock.skip(PLAN.freezeAfterMs);
      await until("the freeze has begun", () => told.length === 1);
      const answer = ask(stage);
      const invoked = await stage.invoked();
      assert.equal(invoked.sandbox, sandbox);
      assert.deepEqual(told, ["freeze"]);
      held.resolve();
      await until("the thaw came after it", () => told.join() === "freeze,frozen,thaw");
      invoked.answer(200, [], "");
      assert.equal((await answer).status, 200);
    });
  });

  test("one whose host can't thaw it is lost, and the request is answered by another", async () => {
    const driver = withFreezing({
      thaw: async () => {
        throw new PlatformError("unavailable", "it stays frozen");
      },
    });
    await onStage({ plan: PLAN, driver }, async (stage) => {
      const lost = await frozen(stage, 1);
      const answer = ask(stage);
      let invoked = await stage.invoked();
      if (invoked.sandbox === lost) invoked = await stage.invoked();
      assert.notEqual(invoked.sandbox, lost);
      invoked.answer(200, [], "elsewhere");
      assert.equal((await answer).body, "elsewhere");
      await until("it is gone", () => !stage.sandboxes.includes(lost));
    });
  });

  test("while the agent is away what is warm serves, what is frozen does not, and is thawed when it is back", async () => {
    await onStage({ plan: { ...PLAN, max: 2, queueTimeoutMs: 300 } }, async (stage) => {
      await frozen(stage, 2);
      const warmed = await answered(stage);
      stage.network.refuse(AGENT, true);
      stage.network.cut(AGENT);
      const first = ask(stage);
      const invoked = await stage.invoked();
      assert.equal(invoked.sandbox, warmed);
      const late = await call(`${stage.url}/fn/app/f`);
      assert.deepEqual([late.status, late.headers["colibri-error-code"]], [504, "queue-timeout"]);
      const second = ask(stage);
      await until("it waits", () => [...stage.dispatch.revisions()][0]!.waiting.length === 1);
      stage.network.refuse(AGENT, false);
      const thawed = await stage.invoked();
      assert.notEqual(thawed.sandbox, warmed);
      assert.equal(stage.sandboxes.length, 2);
      for (const each of [invoked, thawed]) each.answer(200, [], "");
      assert.deepEqual([(await first).status, (await second).status], [200, 200]);
    });
  });

  test("the next owner thaws what it finds frozen, and uses it", async () => {
    await onStage({ plan: PLAN }, async (stage) => {
      const sandbox = await frozen(stage, 1);
      const { clock, network } = stage;
      const deps = { clock, network, random: createSeededRandom(2), log: createSilentLog(), settle: () => {} };
      const options = { owner: "gateway-1", epoch: 2, agentAddress: AGENT, concurrentStarts: 4 };
      const next = new Dispatcher(deps, options);
      next.setPlan(planOf("f", PLAN));
      next.open();
      try {
        await until("it has it", () => [...next.revisions()][0]!.idleSlots === 1);
        assert.equal(stage.stateOf(sandbox), "ready");
        const ended = Promise.withResolvers<number>();
        next.submit(startOf("x"), next.route("default/app/f")!, {
          ...SILENT,
          head: ({ status }) => ended.resolve(status),
        });
        const invoked = await stage.invoked();
        assert.equal(invoked.sandbox, sandbox);
        invoked.answer(200, [], "");
        assert.equal(await ended.promise, 200);
      } finally {
        await next.close();
      }
    });
  });

  test("where the sandboxes can't be frozen a line says so, and they go on serving", async () => {
    const lines: string[] = [];
    const driver = (simulated: SandboxDriver): SandboxDriver => ({
      ...simulated,
      capabilities: { ...simulated.capabilities, freeze: false },
    });
    const clock = new SimulatedClock();
    const log = createLog({ clock, write: (line) => void lines.push(line) }, { level: "debug" });
    await onStage({ plan: PLAN, driver, log }, async (stage) => {
      const [sandbox] = await warm(stage, 1);
      stage.clock.skip(PLAN.freezeAfterMs);
      await until("it was asked", () => lines.some((line) => line.includes("does not freeze")));
      assert.equal(await answered(stage), sandbox);
      const told = lines.filter((line) => line.includes("does not freeze"));
      assert.equal(told.length, 1);
      assert.match(told[0]!, /simulated sandboxes can't be frozen/);
    });
  });

  test("where nobody may wait, a frozen sandbox still takes as many as it has slots", async () => {
    await onStage({ plan: { ...PLAN, concurrency: 2, min: 1, max: 1, queueLength: 0 } }, async (stage) => {
      await until("the minimum is there", () => [...stage.dispatch.revisions()][0]?.idleSlots === 2);
      stage.clock.skip(PLAN.freezeAfterMs);
      await until("it is frozen", () => stage.stateOf(stage.sandboxes[0]!) === "frozen");
      const revision = [...stage.dispatch.revisions()][0]!;
      const failures: string[] = [];
      const answer: Answer = { ...SILENT, failed: ({ code }) => void failures.push(code) };
      for (const id of ["a", "b", "c"]) stage.dispatch.submit(startOf(id), revision, answer);
      assert.deepEqual(failures, ["concurrency-limit"]);
      for (let index = 0; index < 2; index++) (await stage.invoked()).answer(200, [], "");
      await until("all slots are free", () => stage.running === 0);
    });
  });

  test("when it shall never be frozen any more, it is thawed", async () => {
    await onStage({ plan: PLAN }, async (stage) => {
      const sandbox = await frozen(stage, 1);
      const { freezeAfterMs: _, ...never } = PLAN;
      stage.deploy(planOf("f", never));
      await until("it runs", () => stage.stateOf(sandbox) === "ready");
    });
  });
});

const SILENT: Answer = { head() {}, data() {}, end() {}, failed() {} };

function startOf(id: string) {
  const headText = '"request":{"method":"GET","path":"/","query":"","headers":[]}';
  return { id, headText, body: null, bodyBytes: 0, trigger: "url", startedMs: 0, startedAt: 0 };
}

/** Freezing alone, with an agent whose answers the test gives. */
function createBench() {
  const clock = new SimulatedClock();
  const { revisions, policy } = planOf("f", PLAN);
  const revision = new RevisionDispatch(
    { tenant: "default", app: "app", function: "f", revision: "r1" },
    revisions.r1!,
    policy,
  );
  const asked: { what: string; answer: PromiseWithResolvers<void> }[] = [];
  const told: string[] = [];
  const request = (what: string) => {
    const answer = Promise.withResolvers<void>();
    asked.push({ what, answer });
    return answer.promise;
  };
  const agent: { -readonly [K in keyof FreezingAgent]: FreezingAgent[K] } = {
    up: true,
    freeze: (id) => request(`freeze ${id}`),
    thaw: (id) => request(`thaw ${id}`),
  };
  const freezing = new Freezing({ clock, log: createSilentLog() }, agent, {
    thawed: (_, { id }) => void told.push(`thawed ${id}`),
    lost: (_, sandbox, reason) => {
      sandbox.state = "gone";
      told.push(`lost ${sandbox.id}: ${reason}`);
    },
  });
  const add = (id: string, idleSinceMs = 0) => {
    const sandbox = new HeldSandbox(id, `guest:${id}`, 1);
    Object.assign(sandbox, { state: "ready", idleSinceMs });
    revision.sandboxes.set(id, sandbox);
    revision.list(sandbox);
    return sandbox;
  };
  const wait = () => revision.waiting.push(new Invocation(startOf("i"), revision, SILENT));
  const said = () => asked.map(({ what }) => what);
  return { clock, revision, asked, told, agent, freezing, add, wait, said };
}

describe("freezing", () => {
  test("each waiter has one thawed, and none twice; most recently used first", async () => {
    const { clock, revision, told, freezing, add, wait, said, asked } = createBench();
    for (const [index, id] of ["old", "new", "older"].entries()) add(id, [5, 9, 1][index]);
    await clock.advance(PLAN.freezeAfterMs + 10);
    freezing.sweep(revision);
    assert.deepEqual(said(), ["freeze old", "freeze new", "freeze older"]);
    assert.equal(revision.idleSlots, 0);
    for (let waiters = 0; waiters < 2; waiters++) {
      wait();
      freezing.thaw(revision);
      freezing.thaw(revision);
    }
    assert.deepEqual(said().slice(3), ["thaw new", "thaw old"]);
    assert.deepEqual([revision.frozen, revision.thawing, revision.ready], [1, 2, 3]);
    asked[3]!.answer.resolve();
    await clock.advance(1);
    assert.deepEqual(told, ["thawed new"]);
    assert.equal(revision.idleSlots, 1);
  });

  test("what can't be thawed while the agent is there is given up; where the agent went away it stays", async () => {
    const { clock, revision, told, agent, freezing, add, wait, asked } = createBench();
    const [one, other] = [add("one", 2), add("other", 1)];
    for (const sandbox of [one, other]) sandbox.frozen = "yes";
    wait();
    freezing.thaw(revision);
    asked[0]!.answer.reject(new PlatformError("unavailable", "no answer to thaw within 1000 ms"));
    await clock.advance(1);
    assert.deepEqual(told, ["lost one: it could not be thawed: no answer to thaw within 1000 ms"]);
    freezing.thaw(revision);
    agent.up = false;
    asked[1]!.answer.reject(new PlatformError("unavailable", "the link closed before thaw was answered"));
    await clock.advance(1);
    assert.equal(other.frozen, "yes");
    freezing.thaw(revision);
    freezing.sweep(revision);
    assert.equal(asked.length, 2, "an agent that is away is asked nothing");
    agent.up = true;
    freezing.thaw(revision);
    assert.equal(asked.at(-1)!.what, "thaw other");
    assert.equal(told.length, 1);
  });

  test("one that is gone before its thaw was answered is no more heard of", async () => {
    const { clock, revision, told, freezing, add, wait, asked } = createBench();
    for (const id of ["one", "other"]) add(id).frozen = "yes";
    for (let waiters = 0; waiters < 2; waiters++) wait();
    freezing.thaw(revision);
    for (const sandbox of revision.sandboxes.values()) sandbox.state = "gone";
    asked[0]!.answer.resolve();
    asked[1]!.answer.reject(new PlatformError("not-found", "there is no sandbox other"));
    await clock.advance(1);
    assert.deepEqual(told, []);
  });

  test("a freeze that was refused leaves it running; one without an answer counts as done until the agent's list", async () => {
    const { clock, revision, told, freezing, add, asked, said } = createBench();
    const [refused, unknown] = [add("refused"), add("unknown")];
    await clock.advance(PLAN.freezeAfterMs);
    freezing.sweep(revision);
    asked[0]!.answer.reject(new PlatformError("conflict", "it is draining"));
    asked[1]!.answer.reject(new PlatformError("unavailable", "the link closed before freeze was answered"));
    await clock.advance(1);
    assert.deepEqual([refused.frozen, unknown.frozen], ["no", "yes"]);
    freezing.onListed(revision, unknown, "frozen");
    assert.equal(unknown.frozen, "yes");
    freezing.onListed(revision, unknown, "ready");
    assert.equal(unknown.frozen, "no");
    assert.deepEqual(told, ["thawed refused", "thawed unknown"]);
    freezing.onListed(revision, refused, "frozen");
    assert.equal(said().at(-1), "thaw refused", "an agent that takes it for frozen is told");
    assert.equal(refused.frozen, "no");
  });

  test("one that is busy beside invocations, or used, is left alone; a refusal counts until the link is new", async () => {
    const { clock, revision, freezing, add, asked, said } = createBench();
    add("busy").busy = true;
    add("used").take();
    const idle = add("idle");
    await clock.advance(PLAN.freezeAfterMs);
    freezing.sweep(revision);
    assert.deepEqual(said(), ["freeze idle"]);
    asked[0]!.answer.reject(new PlatformError("request-invalid", "plain sandboxes can't be frozen"));
    await clock.advance(1);
    assert.equal(idle.frozen, "no");
    freezing.sweep(revision);
    assert.equal(asked.length, 1);
    freezing.onUp();
    freezing.sweep(revision);
    assert.deepEqual(said(), ["freeze idle", "freeze idle"]);
  });
});
