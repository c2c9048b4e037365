import assert from "node:assert/strict";
import { test } from "node:test";
import { createSeededRandom, createSystemRandom, type Random } from "#base/random.ts";
import { GONE_CAUSES } from "#contract/agent/link.ts";
import { GUEST_STATES } from "#contract/guest/link.ts";
import { parse } from "#contract/shape.ts";
import { admit } from "./admit.ts";
import {
  boundOf,
  deadline,
  isPooled,
  LIFE_LIMITS,
  type LifeEffect,
  type LifeEvent,
  type SandboxLife,
  stateOf,
} from "./life.ts";
import { lifeRecord, recordOf, restore } from "./record.ts";
import { step } from "./step.ts";

const REVISION = { tenant: "default", app: "shop", function: "thumb", revision: "r1" };
const OTHER = { ...REVISION, revision: "r2" };
const FAILURE = { code: "init-failed", message: "no" } as const;

function fresh(nowMs = 0): SandboxLife {
  return {
    phase: { name: "starting", sinceMs: nowMs, untilMs: nowMs + LIFE_LIMITS.startMs },
    grant: { owner: "gw1", epoch: 2, untilMs: nowMs + 1_000_000 },
  };
}

/** Runs events one millisecond apart and answers the last state with all effects after the start. */
function run(
  events: readonly LifeEvent[],
  from = fresh(),
): { life: SandboxLife; effects: LifeEffect[]; nowMs: number } {
  let life = from;
  let nowMs = 0;
  const effects: LifeEffect[] = [];
  for (const event of events) {
    const stepped = step(life, event, ++nowMs);
    life = stepped.state;
    effects.push(...stepped.effects);
  }
  return { life, effects, nowMs };
}

const kinds = (effects: readonly LifeEffect[]) => effects.map((effect) => effect.kind);
const STARTED: LifeEvent = { kind: "hello", state: "pending", bound: undefined };
const LOAD: LifeEvent = { kind: "load", revision: REVISION, initBudgetMs: 200 };
const SENT: LifeEvent = { kind: "sent", loadBudgetMs: 100 };
const LOADED: LifeEvent = { kind: "loaded", durationMs: 5 };
const READY: LifeEvent = { kind: "initialised", durationMs: 7 };
const TO_READY = [STARTED, LOAD, SENT, LOADED, READY];

test("the way to ready: the binding is persisted before it is told, the rest when there is time; LOAD carries INIT", () => {
  const { life, effects } = run(TO_READY);
  assert.equal(life.phase.name, "ready");
  assert.deepEqual(kinds(effects), "started persist-later persist load tell-ready persist-later".split(" "));
  assert.deepEqual(effects.at(-2), { kind: "tell-ready", steps: { startMs: 1, loadMs: 5, initMs: 7 } });
});

test("a failed init goes back to loaded, and load asks for init again without loading again", () => {
  const { life, effects } = run([STARTED, LOAD, SENT, LOADED, { kind: "init-failed", failure: FAILURE }, LOAD, READY]);
  assert.equal(life.phase.name, "ready");
  assert.equal(kinds(effects).filter((kind) => kind === "load").length, 1);
  assert.equal(kinds(effects).filter((kind) => kind === "init").length, 1);
  assert.ok(kinds(effects).includes("tell-failed"));
});

test("each waiting phase ends at its own deadline with a failure that names it", () => {
  const cases: [LifeEvent[], string][] = [
    [[], "start-failed"],
    [[STARTED, LOAD], "unavailable"],
    [[STARTED, LOAD, SENT], "load-failed"],
    [[STARTED, LOAD, SENT, LOADED], "init-failed"],
  ];
  for (const [events, code] of cases) {
    const { life } = run(events);
    const due = deadline(life)!;
    assert.equal(step(life, { kind: "tick" }, due - 0.5).state, life);
    const { phase } = step(life, { kind: "tick" }, due).state;
    assert.equal(phase.name === "ending" && phase.failure?.code, code);
  }
});

test("the end of a grant removes the sandbox in every phase that obeys it", () => {
  for (let length = 0; length <= TO_READY.length; length++) {
    const { life, nowMs } = run(TO_READY.slice(0, length));
    const granted = step(life, { kind: "grant", grant: { owner: "gw1", epoch: 2, untilMs: nowMs + 10 } }, nowMs).state;
    assert.equal(deadline(granted), nowMs + 10);
    const { phase } = step(granted, { kind: "tick" }, nowMs + 10).state;
    assert.equal(phase.name === "ending" && phase.cause, "grant-ended");
  }
});

test("a control stream that was cut: HELLO tells what was missed", () => {
  const hello = (state: "pending" | "loaded" | "initialising" | "ready" | "failed"): LifeEvent => ({
    kind: "hello",
    state,
    bound: state === "pending" ? undefined : REVISION,
  });
  const after = (events: LifeEvent[], event: LifeEvent) => step(run(events).life, event, 100);
  assert.deepEqual(kinds(after([STARTED, LOAD, SENT], hello("pending")).effects), ["load"]);
  assert.equal(deadline(after([STARTED, LOAD, SENT], hello("pending")).state), 100 + LIFE_LIMITS.fetchMs);
  assert.equal(after([STARTED, LOAD, SENT], hello("loaded")).state.phase.name, "initialising");
  assert.equal(after([STARTED, LOAD, SENT], hello("failed")).state.phase.name, "ending");
  assert.deepEqual(kinds(after([STARTED, LOAD, SENT, LOADED], hello("loaded")).effects), ["init"]);
  assert.equal(after([STARTED, LOAD, SENT, LOADED], hello("ready")).state.phase.name, "ready");
  assert.deepEqual(after(TO_READY, hello("ready")).effects, []);
  const { life: again } = run([STARTED, LOAD, SENT, LOADED, { kind: "init-failed", failure: FAILURE }]);
  for (const state of ["initialising", "ready"] as const) {
    assert.equal(after([STARTED, LOAD, SENT], hello(state)).state.phase.name, state);
    assert.ok(!kinds(after([STARTED, LOAD, SENT], hello(state)).effects).includes("init"), state);
    assert.equal(step(again, hello(state), 100).state.phase.name, state);
  }
  for (const event of [hello("pending"), hello("loaded"), { ...hello("ready"), bound: OTHER } as LifeEvent]) {
    const { phase } = after(TO_READY, event).state;
    assert.equal(phase.name === "ending" && phase.cause, "violation");
  }
});

test("what waits in a pool has no deadline, is bound to nothing, and starts anew under the next agent", () => {
  const { life } = run([STARTED], { ...fresh(), grant: undefined });
  assert.deepEqual([isPooled(life), deadline(life)], [true, undefined]);
  assert.equal(step(life, LOAD, 10).state, life);
  const again = restart(life, 5_000);
  assert.deepEqual([again.phase.name, deadline(again)], ["starting", 5_000 + LIFE_LIMITS.greetMs]);
  assert.equal(step(again, STARTED, 5_003).state.phase.name, "pending");
  const bound: LifeEvent = { kind: "hello", state: "loading", bound: REVISION };
  const { phase } = step(again, bound, 5_003).state;
  assert.equal(phase.name === "ending" && phase.cause, "violation");
  const held = step(life, { kind: "grant", grant: { owner: "gw1", epoch: 1, untilMs: 9_000 } }, 20);
  assert.deepEqual([isPooled(held.state), kinds(held.effects)], [false, ["persist-later"]]);
  assert.equal(isPooled(restart(held.state, 30)), false);
});

test("draining ends as stopped when the guest leaves, and by force when it does not", () => {
  const { life } = run([...TO_READY, { kind: "freeze" }, { kind: "drain", graceMs: 50 }]);
  assert.equal(life.phase.name, "draining");
  const left = step(life, { kind: "exited", cause: "exited", failure: { code: "function-exited", message: "" } }, 20);
  assert.deepEqual(left.effects, [{ kind: "tell-gone", cause: "stopped", failure: undefined }]);
  assert.deepEqual(kinds(step(life, { kind: "tick" }, deadline(life)!).effects), ["kill"]);
});

test("only the holder is admitted, under its epoch, with what fits the phase and the binding", () => {
  const { life } = run(TO_READY);
  const reason = (owner: string, epoch: number, request: Parameters<typeof admit>[3]) => {
    const admitted = admit(life, owner, epoch, request);
    return admitted.kind === "refused" ? admitted.reason : "";
  };
  assert.equal(reason("gw1", 2, { kind: "freeze" }), "");
  assert.match(reason("gw2", 9, { kind: "freeze" }), /held by gw1/);
  assert.match(reason("gw1", 1, { kind: "freeze" }), /epoch 1 is fenced/);
  assert.match(reason("gw1", 2, { kind: "load", revision: OTHER }), /bound to default\/shop\/thumb@r1/);
  const starting = admit(fresh(), "gw1", 2, { kind: "thaw" });
  assert.match(starting.kind === "refused" ? starting.reason : "", /starting.*thaw needs ready or frozen/);
});

test("random lives keep the invariants, and survive their agent at any moment", () => {
  const seed = createSystemRandom().below(2 ** 31);
  const random = createSeededRandom(seed);
  for (let life = 0; life < 2_000; life++) walk(random, `seed ${seed}, life ${life}`);
});

function walk(random: Random, where: string): void {
  let nowMs = 0;
  let life: SandboxLife = random.below(2) === 0 ? fresh() : { ...fresh(), grant: undefined };
  let pooled = life.grant === undefined;
  let gone = 0;
  let inits = 0;
  const bound = new Set<string>();
  for (let index = 0; index < 60; index++) {
    nowMs += random.below(4) === 0 ? random.below(40_000) : random.below(50);
    const before = life;
    const event =
      random.below(12) === 0 ? restart(before, nowMs) : (fitting(random, before, nowMs) ?? anyEvent(random, nowMs));
    const { state, effects } = "phase" in event ? { state: event, effects: [] } : step(before, event, nowMs);
    const note = `${where}, event ${index} ${JSON.stringify(event)}: ${before.phase.name} → ${state.phase.name}`;
    life = state;
    gone += kinds(effects).filter((kind) => kind === "tell-gone").length;
    assert.equal(gone, life.phase.name === "gone" ? 1 : 0, `1: ${note}`);
    if (before.phase.name === "gone") assert.equal(life, before, `1: ${note}`);
    const revision = boundOf(life.phase);
    if (revision !== undefined) bound.add(revision.revision);
    assert.ok(bound.size <= 1, `2: ${note}`);
    assert.ok(revision === undefined || life.grant !== undefined, `2: ${note}`);
    assert.ok(before.grant === undefined || life.grant !== undefined, `8: ${note}`);
    assert.ok(pooled || !isPooled(life), `8: ${note}`);
    pooled &&= isPooled(life);
    inits += kinds(effects).filter((kind) => kind === "init" || kind === "load").length;
    // The guest may have been told by the agent before.
    if ("kind" in event && event.kind === "hello" && life.phase.name === event.state) inits++;
    if (life.phase.name === "ready") assert.ok(inits > 0, `3: ${note}`);
    if (["starting", "loading", "initialising", "draining", "ending"].includes(life.phase.name))
      assert.ok(deadline(life) !== undefined, `4: ${note}`);
    const due = deadline(life);
    if (due !== undefined) {
      const ticked = step(life, { kind: "tick" }, due);
      assert.ok(ticked.state.phase.name === "ending", `4: ${note}`);
      assert.ok((deadline(ticked.state) ?? Number.POSITIVE_INFINITY) > due, `4: ${note}`);
    }
    if (before.grant?.owner === life.grant?.owner)
      assert.ok((life.grant?.epoch ?? 0) >= (before.grant?.epoch ?? 0), `5: ${note}`);
    const told = ["pending", "initialising", "ready", "ending", "gone"];
    const changed =
      before.phase.name !== life.phase.name &&
      (life.phase.name === "ready" ? before.phase.name === "frozen" : !told.includes(life.phase.name));
    if (changed && !("phase" in event)) assert.equal(effects[0]?.kind, "persist", `7: ${note}`);
    assert.ok(stateOf(life.phase));
  }
}

/** The next agent's view. */
function restart(life: SandboxLife, nowMs: number): SandboxLife {
  const record = recordOf(life);
  return record === undefined
    ? life
    : restore(parse(lifeRecord, JSON.parse(JSON.stringify(record)), "record"), nowMs, 10_000);
}

/** Mostly what would come next, so that walks get far. */
function fitting(random: Random, { phase, grant }: SandboxLife, nowMs: number): LifeEvent | undefined {
  if (random.below(5) === 0) return undefined;
  if (grant === undefined && random.below(3) === 0)
    return { kind: "grant", grant: { owner: "gw1", epoch: 2, untilMs: nowMs + 50_000 } };
  switch (phase.name) {
    case "starting":
      return STARTED;
    case "pending":
    case "loaded":
      return LOAD;
    case "loading":
      return phase.sent ? LOADED : SENT;
    case "initialising":
      return random.below(3) === 0 ? { kind: "init-failed", failure: FAILURE } : READY;
    case "ready":
      return random.below(2) === 0
        ? { kind: "freeze" }
        : { kind: "grant", grant: { owner: "gw1", epoch: 2 + random.below(3), untilMs: nowMs + 50_000 } };
    case "frozen":
      return { kind: "thaw" };
    default:
      return undefined;
  }
}

function anyEvent(random: Random, nowMs: number): LifeEvent {
  const pick = <T>(values: readonly T[]) => values[random.below(values.length)]!;
  const revision = pick([REVISION, REVISION, OTHER]);
  const events: LifeEvent[] = [
    { kind: "hello", state: pick(GUEST_STATES), bound: pick([undefined, revision]) },
    SENT,
    LOADED,
    READY,
    { kind: "load-failed", failure: FAILURE },
    { kind: "init-failed", failure: FAILURE },
    { kind: "violation", message: "garbage" },
    { kind: "load", revision, initBudgetMs: 200 },
    { kind: "freeze" },
    { kind: "thaw" },
    { kind: "drain", graceMs: random.below(1_000) },
    { kind: "remove", cause: pick(GONE_CAUSES), failure: undefined },
    {
      kind: "grant",
      grant: { owner: pick(["gw1", "gw1", "gw2"]), epoch: 1 + random.below(4), untilMs: nowMs + random.below(5_000) },
    },
    { kind: "exited", cause: pick(GONE_CAUSES), failure: undefined },
    { kind: "tick" },
  ];
  return pick(events);
}
