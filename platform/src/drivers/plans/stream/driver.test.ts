import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { MessageLink } from "#base/link/message-link.ts";
import { createSimulatedNetwork } from "#base/link/simulated-network.ts";
import { createLog } from "#base/log.ts";
import { createSeededRandom } from "#base/random.ts";
import { SimulatedClock } from "#base/simulated-clock.ts";
import { type PlanChange, planEvents, planQuestions, planRequests, type RoutePlan } from "#contract/plan/plan.ts";
import type { TypeOf } from "#contract/shape.ts";
import { plansConformance, routePlanOf } from "#ports/plans/conformance.ts";
import { createStreamPlans } from "./driver.ts";

type Subscribe = TypeOf<typeof planRequests.subscribe.request>;
type Emit = <K extends keyof typeof planEvents>(name: K, value: TypeOf<(typeof planEvents)[K]>) => void;
const SIDES = { asks: planQuestions, hears: {}, serves: planRequests, emits: planEvents };
const put = (name: string, concurrency = 20): PlanChange => ({
  kind: "put",
  key: `acme/shop/${name}`,
  plan: routePlanOf(name, concurrency),
});

/** Control's end, played by the test: it says exactly what `answer` says. */
function createStage(folder: string) {
  const clock = new SimulatedClock();
  const random = createSeededRandom(1);
  const network = createSimulatedNetwork(clock, random, { delayMs: [1, 1] });
  const asked: Subscribe[] = [];
  const lines: { level: string; message: string; key?: string }[] = [];
  const log = createLog({ clock, write: (line) => lines.push(JSON.parse(line)) }, { level: "info" });
  let emit: Emit = () => {};
  let ask = (): Promise<{ number: number }> => Promise.reject(new Error("nobody has subscribed"));
  const stage = {
    clock,
    network,
    asked,
    lines,
    store: "s1",
    number: 0,
    answer: (_request: Subscribe): void => {},
    emit: ((name, value) => emit(name, value)) as Emit,
    barrier: () => ask(),
    /** The answer to a barrier, and what is found as it comes. */
    async confirmed<T>(find: () => T): Promise<{ answer: number; found: T }> {
      let confirmed: { answer: number; found: T } | undefined;
      void ask().then(({ number }) => {
        confirmed = { answer: number, found: find() };
      });
      await stage.soon(() => confirmed !== undefined);
      assert.ok(confirmed, "nothing was confirmed");
      return confirmed;
    },
    snapshot: (number: number, entries: PlanChange[], done = true) =>
      stage.emit("snapshot", { store: stage.store, number, entries, done }),
    listen: () =>
      network.listen("control", ["plan"], (link) => {
        const messages = new MessageLink({ clock }, SIDES, {
          serve: {
            subscribe(request) {
              asked.push(request);
              emit = (name, value) => messages.emit(name, value);
              ask = () => messages.ask("barrier", {}, 1_000);
              clock.after(0, () => stage.answer(request));
              return { store: stage.store, number: stage.number, resumed: request.after > 0 };
            },
          },
          hear: {},
          closed() {},
        });
        messages.attach(link);
        return messages.handlers;
      }),
    plans: () =>
      createStreamPlans(
        { network, clock, random, log },
        { address: "control", topic: "routes", folder, role: "gateway", instance: "gateway-1", pid: 7 },
      ),
    /** Until `done`, before the copy is written by itself: time for real writes, hardly any on the clock. */
    async soon(done: () => boolean) {
      for (let turn = 0; turn < 2_000 && !done(); turn++) {
        await clock.advance(turn % 20 === 0 ? 1 : 0);
        await sleep(1);
      }
      assert.ok(done(), "it did not come about soon");
    },
    /** Writes of the copy are real, so time must pass for real too: until `done`. */
    async until(done: () => boolean) {
      for (let turn = 0; turn < 2_000 && !done(); turn++) {
        await clock.advance(50);
        if (turn > 50) await sleep(1);
      }
      assert.ok(done(), "it did not come about");
    },
  };
  return stage;
}

function temporary(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "colibri-plans-"));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

plansConformance("stream", async () => {
  const folder = mkdtempSync(join(tmpdir(), "colibri-plans-"));
  const stage = createStage(folder);
  await stage.listen();
  const plans = stage.plans();
  const change = async (entries: PlanChange[]) => {
    const from = stage.number++;
    if (from === 0) {
      await stage.until(() => stage.asked.length > 0);
      stage.snapshot(1, entries);
    } else {
      stage.emit("changes", { from, number: from + 1, entries });
    }
    await stage.clock.advance(20);
  };
  return {
    plans,
    put: (key: string, plan: RoutePlan) => change([{ kind: "put", key, plan }]),
    remove: (key: string) => change([{ kind: "remove", key }]),
    async replace(all: ReadonlyMap<string, RoutePlan>) {
      stage.snapshot(
        ++stage.number,
        [...all].map(([key, plan]) => ({ kind: "put", key, plan })),
      );
      await stage.clock.advance(20);
    },
    settle: () => stage.until(() => stage.asked.length > 0),
    dispose: async () => rmSync(folder, { recursive: true }),
  };
});

const signal = new AbortController().signal;

/** Plans that are ready, with `entries` of number `number`. */
async function ready(folder: string, number: number, entries: PlanChange[]) {
  const stage = createStage(folder);
  const listener = await stage.listen();
  const plans = stage.plans();
  stage.answer = () => stage.snapshot(number, entries);
  void plans.open(signal);
  await stage.until(() => plans.ready);
  return { stage, listener, plans };
}

const copyOf = (folder: string) => JSON.parse(readFileSync(join(folder, "routes.json"), "utf8"));

test("a snapshot in parts shows nothing before its last, and a link cut in between leaves no part behind", async (t) => {
  const stage = createStage(temporary(t));
  await stage.listen();
  const plans = stage.plans();
  stage.answer = () => stage.snapshot(5, [put("lost")], false);
  const opening = plans.open(signal);
  await stage.until(() => stage.asked.length === 1);
  await stage.clock.advance(20);
  assert.deepEqual([plans.ready, [...plans.entries()]], [false, []]);
  stage.answer = () => {
    stage.snapshot(6, [put("a")], false);
    stage.snapshot(6, [put("b")], true);
  };
  stage.network.cutOne();
  await stage.until(() => plans.ready);
  await opening;
  assert.deepEqual(
    [...plans.entries()].map(([key]) => key),
    ["acme/shop/a", "acme/shop/b"],
  );
  await plans.close();
});

test("it resumes from its number, and after a gap it asks for everything", async (t) => {
  const { stage, plans } = await ready(temporary(t), 5, [put("a")]);
  stage.answer = () => stage.emit("changes", { from: 5, number: 7, entries: [put("b")] });
  stage.network.cutOne();
  await stage.until(() => plans.get("acme/shop/b") !== undefined);
  assert.deepEqual([stage.asked[1]?.store, stage.asked[1]?.after], ["s1", 5]);
  stage.answer = () => stage.snapshot(9, [put("c")]);
  stage.emit("changes", { from: 8, number: 9, entries: [put("skipped-one")] });
  await stage.until(() => plans.get("acme/shop/c") !== undefined);
  assert.equal(stage.asked[2]?.after, 0);
  assert.deepEqual(
    [...plans.entries()].map(([key]) => key),
    ["acme/shop/c"],
  );
  await plans.close();
});

test("a barrier is answered with what is in effect: all that was sent before it, and nothing by parts", async (t) => {
  const { stage, plans } = await ready(temporary(t), 5, [put("a")]);
  const answers: number[] = [];
  const ask = () => void stage.barrier().then(({ number }) => answers.push(number));
  ask();
  stage.emit("changes", { from: 5, number: 7, entries: [put("b")] });
  ask();
  stage.snapshot(9, [put("c")], false);
  ask();
  stage.snapshot(9, [put("d")]);
  ask();
  await stage.soon(() => answers.length === 4);
  assert.deepEqual(answers, [5, 7, 7, 9]);
  await plans.close();
});

test("a barrier is answered when the copy on disk holds what is in effect, and does not wait for its turn", async (t) => {
  const folder = temporary(t);
  const { stage, plans } = await ready(folder, 1, []);
  for (let number = 1; number <= 5; number++) {
    stage.emit("changes", { from: number, number: number + 1, entries: [put("a", number)] });
    const { answer, found } = await stage.confirmed(() => copyOf(folder));
    assert.equal(answer, number + 1);
    assert.equal(found.number, number + 1);
    assert.deepEqual(found.entries["acme/shop/a"], routePlanOf("a", number));
  }
  await plans.close();
});

test("a copy that can't be written holds nobody up, is said once, and is written when that is possible again", async (t) => {
  const folder = join(temporary(t), "copy");
  writeFileSync(folder, "a file where the folder should be");
  const { stage, plans } = await ready(folder, 1, [put("a")]);
  for (const number of [1, 2, 3]) {
    stage.emit("changes", { from: number, number: number + 1, entries: [put("a", number)] });
    assert.equal((await stage.confirmed(() => {})).answer, number + 1);
  }
  const said = (message: RegExp) => stage.lines.filter((line) => message.test(line.message)).map(({ level }) => level);
  assert.deepEqual(said(/could not be written/), ["error"]);
  rmSync(folder);
  // Nothing changes any more, nor does anybody ask.
  await stage.until(() => said(/written to disk again/).length === 1);
  assert.equal(copyOf(folder).number, 4);
  await plans.close();
});

test("parts of a change count only when all came", async (t) => {
  const { stage, plans } = await ready(temporary(t), 5, []);
  stage.emit("changes", { from: 5, number: 5, entries: [put("a")] });
  await stage.clock.advance(20);
  assert.ok(plans.get("acme/shop/a"));
  stage.answer = () => {};
  stage.network.cutOne();
  await stage.until(() => stage.asked.length === 2);
  assert.equal(stage.asked[1]?.after, 5);
  await plans.close();
});

test("what is not a plan is logged and skipped: the last good one stays", async (t) => {
  const { stage, plans } = await ready(temporary(t), 1, [put("a"), put("b")]);
  const broken: PlanChange[] = [
    { kind: "put", key: "acme/shop/a", plan: { ...routePlanOf("a"), live: [] } },
    { kind: "put", key: "acme/shop/b", plan: routePlanOf("other") },
    { kind: "put", key: "acme/shop/new", plan: { tenant: 7 } },
  ];
  stage.emit("changes", { from: 1, number: 2, entries: [...broken, put("c")] });
  await stage.clock.advance(20);
  const expected = [routePlanOf("a"), routePlanOf("b"), routePlanOf("c")];
  assert.deepEqual(
    [...plans.entries()].map(([, plan]) => plan),
    expected,
  );
  stage.snapshot(3, [...broken, put("c")]);
  await stage.clock.advance(20);
  assert.deepEqual(
    [...plans.entries()].map(([, plan]) => plan),
    expected,
  );
  assert.deepEqual(
    stage.lines.filter(({ level }) => level === "error").map(({ message, key }) => [message, key]),
    [...broken, ...broken].map(({ key }) => ["plan skipped", key]),
  );
  await plans.close();
});

test("it starts from disk while control is away, then from another store anew", async (t) => {
  const folder = temporary(t);
  const { stage, listener, plans: first } = await ready(folder, 5, [put("a"), put("b")]);
  stage.emit("changes", { from: 5, number: 6, entries: [{ kind: "remove", key: "acme/shop/b" }, put("a", 3)] });
  await stage.clock.advance(20);
  await listener.close();
  await first.close();
  assert.deepEqual(readdirSync(folder), ["routes.json"]);
  const { store, number } = copyOf(folder);
  assert.deepEqual({ store, number }, { store: "s1", number: 6 });

  const second = stage.plans();
  await second.open(signal);
  assert.deepEqual([...second.entries()], [["acme/shop/a", routePlanOf("a", 3)]]);
  stage.store = "s2";
  stage.answer = () => stage.snapshot(2, [put("z")]);
  await stage.listen();
  await stage.until(() => second.get("acme/shop/z") !== undefined);
  assert.deepEqual([stage.asked[1]?.store, stage.asked[1]?.after], ["s1", 6]);
  assert.deepEqual(
    [...second.entries()].map(([key]) => key),
    ["acme/shop/z"],
  );
  await second.close();
  assert.deepEqual([copyOf(folder).store, copyOf(folder).number], ["s2", 2]);
});

test("the copy follows without being closed, in writes that are far apart", async (t) => {
  const folder = temporary(t);
  const { stage, plans } = await ready(folder, 1, []);
  for (let number = 1; number <= 1_000; number++) {
    stage.emit("changes", { from: number, number: number + 1, entries: [put(`f${number}`)] });
  }
  const written = () => {
    try {
      return copyOf(folder).number;
    } catch {
      return 0;
    }
  };
  await stage.clock.advance(150);
  assert.equal(written(), 0);
  await stage.until(() => written() === 1_001);
  assert.equal(Object.keys(copyOf(folder).entries).length, 1_000);
  await plans.close();
});

test("told to stop while it reads its copy, it does not wait for control", async (t) => {
  const plans = createStage(temporary(t)).plans();
  const stop = new AbortController();
  const opening = plans.open(stop.signal);
  stop.abort(new Error("stop"));
  await assert.rejects(opening, /stop/);
  await plans.close();
});

for (const [name, content] of [
  ["torn", '{"version":1,"topic":"routes","sto'],
  ["of another topic", '{"version":1,"topic":"launches","store":"s1","number":3,"entries":{}}'],
  ["of another version", '{"version":9,"topic":"routes","store":"s1","number":3,"entries":{}}'],
] as const) {
  test(`a copy that is ${name} is said to be so and not used`, async (t) => {
    const folder = temporary(t);
    writeFileSync(join(folder, "routes.json"), content);
    const { stage, plans } = await ready(folder, 1, [put("a")]);
    assert.deepEqual([stage.asked[0]?.store, stage.asked[0]?.after], ["", 0]);
    assert.equal(stage.lines.filter(({ message }) => message.includes("can't be used")).length, 1);
    await plans.close();
  });
}
