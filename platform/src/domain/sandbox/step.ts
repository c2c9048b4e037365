import { assertNever } from "#base/assert.ts";
import type { GoneCause } from "#contract/agent/link.ts";
import type { Failure } from "#contract/errors.ts";
import { revisionKey } from "#contract/names.ts";
import {
  boundOf,
  LIFE_LIMITS,
  type LifeEffect,
  type LifeEvent,
  obeysGrant,
  type Phase,
  type PhaseOf,
  type SandboxLife,
  type Stepped,
} from "./life.ts";

/**
 * The life of one sandbox, as its agent sees it. Pure: the agent performs the effects, in order, and reports what came of them.
 *
 *     starting ─HELLO→ pending ─load→ loading ─LOADED→ initialising ─READY→ ready ⇄ frozen
 *        │                │              │               │      ↑             │        │
 *        │                │              │            FAILED   load         drain    drain
 *        │                │              │               ↓      │             ↓        │
 *        │                │              │              loaded ─┘          draining ←──┘
 *        └────────────────┴── failure, time, grant's end, removal, violation ──┴→ ending ─exited→ gone
 *     every phase ─exited→ gone
 *
 * 1. `gone` is final, and told exactly once.
 * 2. A sandbox is bound to one revision, by its first load, for ever; and nothing is bound that nobody holds.
 * 3. LOAD, which carries INIT, is sent again only to a guest that says it is pending, INIT only to one that says it is loaded or
 *    whose `init` failed.
 * 4. A phase that waits for somebody has a deadline of its own, and `tick` leaves it then (`ending`: orders the kill again).
 * 5. A grant's epoch never goes down for the same owner; what a grant no longer covers ends (`admit` fences older epochs).
 * 6. What a guest says must fit the phase; what does not fit is a violation and ends the sandbox.
 * 7. What the next agent could not learn from the guest's HELLO (binding and its holder, frozen, draining) is persisted before the
 *    guest or the owner is told of it. The rest is not, so that a start does not wait for the disk: the holder of what is bound to
 *    nothing is forgotten with its agent.
 * 8. Generic → granted → bound is one way: no event takes a grant away again, so that what was held once serves or ends, and no
 *    pool ever has it back.
 */
export function step(state: SandboxLife, event: LifeEvent, nowMs: number): Stepped {
  const { phase } = state;
  if (phase.name === "gone") return same(state);
  if (event.kind === "exited") return exited(state, event);
  if (phase.name === "ending") return event.kind === "tick" ? killAgain(state, phase, nowMs) : same(state);
  switch (event.kind) {
    case "hello":
      return hello(state, event, nowMs);
    case "sent":
      return sent(state, event, nowMs);
    case "loaded":
      if (phase.name !== "loading" || !phase.sent) return misplaced(state, "LOADED", nowMs);
      return initialising(state, { ...phase, loadMs: event.durationMs }, nowMs);
    case "initialised":
      if (phase.name !== "initialising") return misplaced(state, "READY", nowMs);
      return initialised(state, phase, event.durationMs);
    case "load-failed":
      if (phase.name !== "loading") return misplaced(state, "FAILED of a load", nowMs);
      return end(state, "load-failed", event.failure, nowMs);
    case "init-failed":
      if (phase.name !== "initialising") return misplaced(state, "FAILED of an init", nowMs);
      return initFailed(state, phase, event.failure);
    case "violation":
      return violated(state, event.message, nowMs);
    case "load":
      return load(state, event, nowMs);
    case "freeze":
      if (phase.name !== "ready") return same(state);
      return to(state, { ...phase, name: "frozen" }, [{ kind: "freeze" }]);
    case "thaw":
      if (phase.name !== "frozen") return same(state);
      return to(state, { ...phase, name: "ready" }, [{ kind: "thaw" }]);
    case "drain":
      return drain(state, event.graceMs, nowMs);
    case "remove":
      return end(state, event.cause, event.failure, nowMs);
    case "grant":
      return granted(state, event.grant);
    case "tick":
      return tick(state, nowMs);
    default:
      return assertNever(event, "event of a sandbox");
  }
}

function same(state: SandboxLife): Stepped {
  return { state, effects: [] };
}

function to(state: SandboxLife, phase: Phase, effects: readonly LifeEffect[]): Stepped {
  return { state: { ...state, phase }, effects: [{ kind: "persist" }, ...effects] };
}

function end(state: SandboxLife, cause: GoneCause, failure: Failure | undefined, nowMs: number): Stepped {
  const phase: Phase = { name: "ending", cause, failure, untilMs: nowMs + LIFE_LIMITS.killMs };
  return { state: { ...state, phase }, effects: [{ kind: "kill", cause }] };
}

function killAgain(state: SandboxLife, phase: PhaseOf<"ending">, nowMs: number): Stepped {
  if (nowMs < phase.untilMs) return same(state);
  return end(state, phase.cause, phase.failure, nowMs);
}

function exited(state: SandboxLife, event: Extract<LifeEvent, { kind: "exited" }>): Stepped {
  const { phase } = state;
  const wanted = phase.name === "ending" ? phase : undefined;
  const drained = phase.name === "draining" && event.cause === "exited";
  const cause = wanted?.cause ?? (drained ? "stopped" : event.cause);
  const failure = wanted !== undefined ? wanted.failure : drained ? undefined : event.failure;
  return {
    state: { ...state, phase: { name: "gone", cause, failure } },
    effects: [{ kind: "tell-gone", cause, failure }],
  };
}

function violated(state: SandboxLife, message: string, nowMs: number): Stepped {
  return end(state, "violation", { code: "guest-violation", message }, nowMs);
}

/** A draining guest may still say what it was about to say. */
function misplaced(state: SandboxLife, what: string, nowMs: number): Stepped {
  if (state.phase.name === "draining") return same(state);
  return violated(state, `the guest sent ${what} while ${state.phase.name}`, nowMs);
}

/** The first HELLO ends the start. A later one tells what was missed while the control stream was down (invariant 3). */
function hello(state: SandboxLife, event: Extract<LifeEvent, { kind: "hello" }>, nowMs: number): Stepped {
  const { phase } = state;
  if (phase.name === "draining") return same(state);
  const bound = boundOf(phase);
  const pending = event.state === "pending" && event.bound === undefined;
  if (phase.name === "starting" && pending) {
    const started: Phase = { name: "pending", startMs: nowMs - phase.sinceMs };
    return { state: { ...state, phase: started }, effects: [{ kind: "started" }, { kind: "persist-later" }] };
  }
  if (phase.name === "pending" && pending) return same(state);
  if (phase.name === "loading" && pending) {
    const again: Phase = { ...phase, sent: false, untilMs: nowMs + LIFE_LIMITS.fetchMs };
    return { state: { ...state, phase: again }, effects: [{ kind: "load", revision: phase.revision }] };
  }
  const saysBound = event.bound === undefined ? "nothing" : revisionKey(event.bound);
  if (bound !== undefined && saysBound === revisionKey(bound)) return helloBound(state, event, nowMs);
  return violated(state, `the guest says it is ${event.state} and bound to ${saysBound} while ${phase.name}`, nowMs);
}

function helloBound(state: SandboxLife, event: Extract<LifeEvent, { kind: "hello" }>, nowMs: number): Stepped {
  const { phase } = state;
  if (phase.name === event.state || (phase.name === "frozen" && event.state === "ready")) return same(state);
  if (phase.name === "loading" && event.state === "failed") {
    const message = "the code could not be loaded; the guest's message was lost with its control stream";
    return end(state, "load-failed", { code: "load-failed", message }, nowMs);
  }
  if (phase.name === "loading" || phase.name === "loaded" || phase.name === "initialising") {
    const sinceMs = "sinceMs" in phase ? phase.sinceMs : nowMs;
    const from = { ...phase, loadMs: "loadMs" in phase ? phase.loadMs : nowMs - sinceMs };
    if (event.state === "loaded") return initialise(state, from, nowMs);
    if (event.state === "initialising") return initialising(state, from, nowMs);
    if (event.state === "ready") return initialised(state, from, nowMs - sinceMs);
  }
  return violated(state, `the guest says it is ${event.state} while ${phase.name}`, nowMs);
}

function load(state: SandboxLife, event: Extract<LifeEvent, { kind: "load" }>, nowMs: number): Stepped {
  const { phase } = state;
  switch (phase.name) {
    case "pending": {
      if (state.grant === undefined) return same(state);
      const untilMs = nowMs + LIFE_LIMITS.fetchMs;
      const { revision, initBudgetMs } = event;
      const loading = { startMs: phase.startMs, revision, sinceMs: nowMs, untilMs, initBudgetMs, sent: false };
      return to(state, { name: "loading", ...loading }, [{ kind: "load", revision }]);
    }
    case "loaded":
      return initialise(state, phase, nowMs);
    case "ready":
      return { state, effects: [tellReady(phase)] };
    default:
      return same(state);
  }
}

function sent(state: SandboxLife, event: Extract<LifeEvent, { kind: "sent" }>, nowMs: number): Stepped {
  if (state.phase.name !== "loading") return same(state);
  const untilMs = nowMs + event.loadBudgetMs + LIFE_LIMITS.graceMs;
  return { state: { ...state, phase: { ...state.phase, sent: true, untilMs } }, effects: [] };
}

function initialise(state: SandboxLife, from: Omit<PhaseOf<"loaded">, "name">, nowMs: number): Stepped {
  const init: LifeEffect = { kind: "init", budgetMs: from.initBudgetMs };
  return { ...initialising(state, from, nowMs), effects: [init] };
}

/** By itself: LOAD told it to. */
function initialising(state: SandboxLife, from: Omit<PhaseOf<"loaded">, "name">, nowMs: number): Stepped {
  const { startMs, revision, loadMs, initBudgetMs } = from;
  const untilMs = nowMs + initBudgetMs + LIFE_LIMITS.graceMs;
  const phase: Phase = { name: "initialising", startMs, revision, loadMs, initBudgetMs, sinceMs: nowMs, untilMs };
  return { state: { ...state, phase }, effects: [] };
}

function initialised(state: SandboxLife, phase: Omit<PhaseOf<"loaded">, "name">, durationMs: number): Stepped {
  const { startMs, revision, loadMs, initBudgetMs } = phase;
  const ready = { name: "ready", startMs, revision, loadMs, initBudgetMs, initMs: durationMs } as const;
  return { state: { ...state, phase: ready }, effects: [tellReady(ready), { kind: "persist-later" }] };
}

function initFailed(state: SandboxLife, phase: PhaseOf<"initialising">, failure: Failure): Stepped {
  const { startMs, revision, loadMs, initBudgetMs } = phase;
  const back: Phase = { name: "loaded", startMs, revision, loadMs, initBudgetMs };
  return to(state, back, [{ kind: "tell-failed", failure }]);
}

function tellReady({ startMs, loadMs, initMs }: PhaseOf<"ready">): LifeEffect {
  return { kind: "tell-ready", steps: { startMs, loadMs, initMs } };
}

/** Only what runs invocations has something to finish. */
function drain(state: SandboxLife, graceMs: number, nowMs: number): Stepped {
  const { phase } = state;
  if (phase.name === "draining") return same(state);
  if (phase.name !== "ready" && phase.name !== "frozen") return end(state, "stopped", undefined, nowMs);
  const draining: Phase = { name: "draining", revision: phase.revision, graceMs, untilMs: nowMs + graceMs };
  const thaw: LifeEffect[] = phase.name === "frozen" ? [{ kind: "thaw" }] : [];
  return to(state, draining, [...thaw, { kind: "drain", graceMs }]);
}

function granted(state: SandboxLife, grant: Grant): Stepped {
  const held = state.grant;
  if (held !== undefined && held.owner === grant.owner && grant.epoch < held.epoch) return same(state);
  if (held?.owner === grant.owner && held.epoch === grant.epoch) return { state: { ...state, grant }, effects: [] };
  const isBound = boundOf(state.phase) !== undefined;
  return { state: { ...state, grant }, effects: [{ kind: isBound ? "persist" : "persist-later" }] };
}
type Grant = NonNullable<SandboxLife["grant"]>;

function tick(state: SandboxLife, nowMs: number): Stepped {
  const { phase, grant } = state;
  if ("untilMs" in phase && nowMs >= phase.untilMs) return timedOut(state, phase, nowMs);
  if (obeysGrant(phase) && grant !== undefined && nowMs >= grant.untilMs)
    return end(state, "grant-ended", undefined, nowMs);
  return same(state);
}

function timedOut(state: SandboxLife, phase: Extract<Phase, { untilMs: number }>, nowMs: number): Stepped {
  switch (phase.name) {
    case "starting": {
      const message = `the guest did not answer within ${LIFE_LIMITS.startMs} ms of its start`;
      return end(state, "start-failed", { code: "start-failed", message }, nowMs);
    }
    case "loading": {
      const failure: Failure = !phase.sent
        ? { code: "unavailable", message: `the bundle was not on this host within ${LIFE_LIMITS.fetchMs} ms` }
        : {
            code: "load-failed",
            message: "the code did not finish loading in time: does it wait or spin at its top level?",
          };
      return end(state, "load-failed", failure, nowMs);
    }
    case "initialising": {
      const message = `init did not finish within ${phase.initBudgetMs} ms`;
      return end(state, "killed", { code: "init-failed", message }, nowMs);
    }
    case "draining":
      return end(state, "stopped", undefined, nowMs);
    case "ending":
      return killAgain(state, phase, nowMs);
    default:
      return assertNever(phase, "phase with a deadline");
  }
}
