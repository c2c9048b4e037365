import assert from "node:assert/strict";
import { test } from "node:test";
import type { SandboxDriver } from "#ports/sandbox/index.ts";
import { type Answered, call } from "../gateway/caller.fixture.ts";
import {
  type Invoked,
  onStage,
  type PlanChanges,
  planOf,
  type Stage,
  type StageOptions,
  until,
} from "../gateway/stage.fixture.ts";

const EXCLUSIVE: PlanChanges = { concurrency: 1 };
/** Less than a grant and any keep-alive here. */
const FREEZE_MS = 8_000;

const ask = (stage: Stage, name: string): Promise<Answered> => call(`${stage.url}/fn/app/${name}`);

interface HostChanges {
  /** Milliseconds that the next start takes; a second, so that all starts cost about the same. */
  startMs?: number;
  start?: () => Promise<void>;
  kill?: (kill: () => Promise<void>) => Promise<void>;
}

/** A host with so much memory, and functions that nobody has asked for yet. */
function onHost(
  capacityMiB: number,
  functions: Readonly<Record<string, PlanChanges>>,
  play: (stage: Stage) => Promise<void>,
  changes: HostChanges = {},
  options: Partial<StageOptions> = {},
): Promise<void> {
  let skip = (_: number) => {};
  const driver = (simulated: SandboxDriver): SandboxDriver => ({
    ...simulated,
    async start(spec) {
      const sandbox = await simulated.start(spec);
      await changes.start?.();
      skip(changes.startMs ?? 1_000);
      const { kill = (it) => it() } = changes;
      return { ...sandbox, kill: (cause) => kill(() => sandbox.kill(cause)) };
    },
  });
  return onStage({ capacityMiB, driver, ...options }, async (stage) => {
    skip = (durationMs) => stage.clock.skip(durationMs);
    for (const [name, plan] of Object.entries(functions)) stage.deploy(planOf(name, { ...EXCLUSIVE, ...plan }));
    await play(stage);
  });
}

/** The sandbox that answers, idle again afterwards. */
async function answered(stage: Stage, name: string): Promise<string> {
  const [sandbox] = await together(stage, [name]);
  return sandbox!;
}

/** Invocations that run at once; answered in the order they came. */
async function together(stage: Stage, names: readonly string[]): Promise<string[]> {
  const answers: Promise<Answered>[] = [];
  const invoked: Invoked[] = [];
  for (const name of names) {
    answers.push(ask(stage, name));
    invoked.push(await Promise.race([stage.invoked(), refused(answers.at(-1)!)]));
  }
  for (const each of invoked) each.answer(200, [], "");
  for (const answer of answers) assert.equal((await answer).status, 200);
  await until("all slots are free", () => stage.running === 0);
  return invoked.map(({ sandbox }) => sandbox);
}

async function refused(answer: Promise<Answered>): Promise<never> {
  const { status, headers } = await answer;
  throw new Error(`${status} before it was invoked: ${headers["colibri-error-message"]}`);
}

const codeOf = ({ status, headers }: Answered) => [status, headers["colibri-error-code"]];

function evicted(stage: Stage): number {
  const [, count] = /^colibri_sandboxes_evicted_total (\d+)$/m.exec(stage.meters.render()) ?? [];
  return Number(count);
}

test("a third function is served where two idle ones fill the host, and one of them is gone", async () => {
  await onHost(256, { a: {}, b: {}, c: {} }, async (stage) => {
    const [a, b] = [await answered(stage, "a"), await answered(stage, "b")];
    const c = await answered(stage, "c");
    assert.deepEqual(stage.sandboxes, [b, c], "the one idle for longer went");
    assert.equal(stage.stateOf(a), undefined);
    assert.equal(evicted(stage), 1);
  });
});

test("frozen ones give way too", async () => {
  const frozen = { freezeAfterMs: FREEZE_MS };
  await onHost(256, { a: frozen, b: frozen, c: {} }, async (stage) => {
    const both = [await answered(stage, "a"), await answered(stage, "b")];
    stage.clock.skip(FREEZE_MS + 1_000);
    await until("they are frozen", () => both.every((sandbox) => stage.stateOf(sandbox) === "frozen"));
    const c = await answered(stage, "c");
    assert.deepEqual(stage.sandboxes, [both[1], c]);
    // Who was spared is thawed as ever.
    assert.equal(await answered(stage, "b"), both[1]);
  });
});

test("what a function's minimum needs stays, and the caller is told at once", async () => {
  await onHost(256, { a: { min: 1 }, b: {}, c: { memoryMiB: 256 } }, async (stage) => {
    const a = await answered(stage, "a");
    const b = await answered(stage, "b");
    assert.deepEqual(codeOf(await ask(stage, "c")), [503, "no-capacity"]);
    assert.deepEqual(stage.sandboxes, [a, b], "nobody went for what is not enough");
    stage.deploy(planOf("d", EXCLUSIVE));
    const d = await answered(stage, "d");
    assert.deepEqual(stage.sandboxes, [a, d]);
    assert.equal(evicted(stage), 1);
  });
});

test("a minimum is of live revisions only: an old one gives way to its successor at once", async () => {
  await onHost(128, { a: { min: 1 } }, async (stage) => {
    const old = await answered(stage, "a");
    stage.deploy(planOf("a", { ...EXCLUSIVE, min: 1, revision: "r2" }));
    assert.notEqual(await answered(stage, "a"), old);
    assert.equal(evicted(stage), 1);
  });
});

test("busy ones stay, and the caller is told at once; when one has ended, the next call has its room", async () => {
  await onHost(128, { a: {}, b: {} }, async (stage) => {
    const first = ask(stage, "a");
    const running = (await stage.invoked()).accept();
    for (let call = 0; call < 3; call++) {
      const answer = await ask(stage, "b");
      assert.deepEqual(codeOf(answer), [503, "no-capacity"]);
      assert.match(String(answer.headers["colibri-error-message"]), /no room for a sandbox of 128 MiB: 0 of 128 MiB/);
    }
    assert.deepEqual(stage.sandboxes, [running.sandbox]);
    running.answer(200, [], "whole");
    assert.equal((await first).body, "whole");
    await until("its slot is free", () => stage.running === 0);
    // Although no start is tried again this soon for want of anything else.
    await answered(stage, "b");
    assert.equal(evicted(stage), 1);
  });
});

test("one slot that is used keeps its sandbox", async () => {
  await onHost(128, { a: { concurrency: 2 }, b: {} }, async (stage) => {
    const answers = [ask(stage, "a"), ask(stage, "a")];
    const invoked = [(await stage.invoked()).accept(), (await stage.invoked()).accept()];
    assert.equal(invoked[0]!.sandbox, invoked[1]!.sandbox);
    invoked[0]!.answer(200, [], "");
    await Promise.race(answers);
    await until("one is left", () => stage.running === 1);
    assert.deepEqual(codeOf(await ask(stage, "b")), [503, "no-capacity"]);
    invoked[1]!.answer(200, [], "");
    for (const answer of answers) assert.equal((await answer).status, 200);
  });
});

test("two functions that take turns where there is room for one are both served, one eviction for each start", async () => {
  await onHost(128, { a: {}, b: {} }, async (stage) => {
    for (let round = 0; round < 10; round++) {
      await answered(stage, "a");
      await answered(stage, "b");
    }
    assert.equal(evicted(stage), 19);
  });
});

test("many starts at once evict one for each, and those who find none wait for the others' sandboxes", async () => {
  await onHost(512, { a: {}, b: { max: 9 } }, async (stage) => {
    await together(stage, ["a", "a", "a"]);
    const answers = Array.from({ length: 9 }, () => ask(stage, "b"));
    for (let count = 0; count < 9; count++) (await stage.invoked()).answer(200, [], "");
    for (const answer of answers) assert.equal((await answer).status, 200);
    assert.equal(evicted(stage), 3);
    assert.equal(stage.sandboxes.length, 4);
  });
});

test("who comes while a start is under way waits for it, though another was refused", async () => {
  const begun = Promise.withResolvers<void>();
  const changes: HostChanges = {};
  const play = async (stage: Stage) => {
    await answered(stage, "a");
    changes.start = () => begun.promise;
    const answers = [ask(stage, "b"), ask(stage, "b")];
    const b = [...stage.dispatch.revisions()].find(({ ref }) => ref.function === "b")!;
    await until("one start was refused, one is under way", () => b.refusal !== undefined && b.starting === 1);
    answers.push(ask(stage, "b"));
    await until("all wait", () => b.waiting.length === 3);
    begun.resolve();
    for (let count = 0; count < 3; count++) (await stage.invoked()).answer(200, [], "");
    for (const answer of answers) assert.equal((await answer).status, 200);
  };
  await onHost(128, { a: {}, b: {} }, play, changes);
});

test("a large one has as many give way as it lacks, no more", async () => {
  await onHost(640, { a: {}, b: { memoryMiB: 384 } }, async (stage) => {
    const a = await together(stage, ["a", "a", "a", "a"]);
    const b = await answered(stage, "b");
    assert.equal(evicted(stage), 2, "128 MiB were free");
    assert.deepEqual(stage.sandboxes, [a[2], a[3], b]);
  });
});

test("what took long to start is spared for what did not, though it is idle for longer", async () => {
  const changes: HostChanges = {};
  const play = async (stage: Stage) => {
    changes.startMs = 4_000;
    const dear = await answered(stage, "dear");
    changes.startMs = 1_000;
    await answered(stage, "cheap");
    const c = await answered(stage, "c");
    assert.deepEqual(stage.sandboxes, [dear, c]);
  };
  await onHost(256, { dear: {}, cheap: {}, c: {} }, play, changes);
});

test("whose init failed holds no room", async () => {
  await onHost(
    128,
    { a: {}, b: {} },
    async (stage) => {
      assert.deepEqual(codeOf(await ask(stage, "a")), [500, "init-failed"]);
      assert.equal(stage.sandboxes.length, 1);
      Object.assign(stage.behaviour, { initFails: 0 });
      await answered(stage, "b");
      assert.equal(evicted(stage), 1);
    },
    {},
    { behaviour: { initFails: 1 } },
  );
});

test("what leaves anyway is waited for, instead of evicting another", async () => {
  const killed = Promise.withResolvers<void>();
  await onHost(
    256,
    { a: {}, b: { timeoutMs: 100 }, c: {} },
    async (stage) => {
      const a = await answered(stage, "a");
      const hangs = ask(stage, "b");
      const { sandbox } = (await stage.invoked()).accept();
      stage.clock.skip(200);
      assert.deepEqual(codeOf(await hangs), [504, "function-timeout"]);
      stage.clock.skip(2_000);
      await until("it is ordered to go", () => stage.stateOf(sandbox) === "draining");
      const answer = ask(stage, "c");
      await until("it waits", () => stage.settle.inFlight === 1);
      await call(`${stage.url}/healthz`);
      killed.resolve();
      const invoked = await stage.invoked();
      assert.deepEqual(stage.sandboxes, [a, invoked.sandbox]);
      invoked.answer(200, [], "");
      assert.equal((await answer).status, 200);
      assert.equal(evicted(stage), 0);
    },
    { kill: (kill) => killed.promise.then(kill) },
  );
});

test("the wait for what does not go is bounded by queue.timeout, and nothing more is evicted meanwhile", async () => {
  const killed = Promise.withResolvers<void>();
  await onHost(
    256,
    { a: {}, b: {}, c: { queueTimeoutMs: 3_000 } },
    async (stage) => {
      const [a, b] = [await answered(stage, "a"), await answered(stage, "b")];
      const first = ask(stage, "c");
      await until("one gives way", () => evicted(stage) === 1);
      const second = ask(stage, "c");
      await until("both wait", () => stage.settle.inFlight === 2);
      stage.clock.skip(3_000);
      assert.deepEqual(codeOf(await first), [504, "queue-timeout"]);
      await second;
      assert.equal(evicted(stage), 1);
      assert.deepEqual(stage.sandboxes, [a, b]);
      killed.resolve();
      await until("it is gone", () => stage.sandboxes.length === 1);
      const c = await answered(stage, "c");
      assert.deepEqual(stage.sandboxes, [b, c]);
      assert.equal(evicted(stage), 1);
    },
    { kill: (kill) => killed.promise.then(kill) },
  );
});

test("who comes meanwhile does not take the room that was made for another", async () => {
  const kills: (() => void)[] = [];
  await onHost(
    256,
    { a: {}, big: { memoryMiB: 256 }, small: {} },
    async (stage) => {
      await together(stage, ["a", "a"]);
      const big = ask(stage, "big");
      await until("both give way", () => kills.length === 2);
      kills[0]!();
      await until("half of it is free", () => stage.sandboxes.length === 1);
      const small = ask(stage, "small");
      await until("it waits", () => stage.settle.inFlight === 2);
      await call(`${stage.url}/healthz`);
      kills[1]!();
      const invoked = await stage.invoked();
      assert.equal(invoked.head.function, "big");
      assert.deepEqual(codeOf(await small), [503, "no-capacity"]);
      invoked.answer(200, [], "");
      assert.equal((await big).status, 200);
      kills.length = 0;
      const again = ask(stage, "small");
      await until("the large one gives way", () => kills.length === 1);
      kills[0]!();
      (await stage.invoked()).answer(200, [], "");
      assert.equal((await again).status, 200);
    },
    { kill: (kill) => new Promise<void>((resolve) => kills.push(() => resolve(kill()))) },
  );
});
