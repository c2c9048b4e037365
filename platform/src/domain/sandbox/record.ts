import { isName, isRevision } from "#contract/names.ts";
import { integer, matching, number, object, oneOf, optional, type TypeOf, text } from "#contract/shape.ts";
import { boundOf, LIFE_LIMITS, type Phase, type SandboxLife } from "./life.ts";

const name = matching("a name", isName);
const revision = object({ tenant: name, app: name, function: name, revision: matching("a revision", isRevision) });

/** What of a life survives its agent. Times that pass do not: they begin anew, because the agent that counted them is gone. */
export const lifeRecord = object({
  phase: oneOf("pending", "loading", "loaded", "initialising", "ready", "frozen", "draining"),
  revision: optional(revision),
  startMs: number(),
  loadMs: number(),
  initMs: number(),
  initBudgetMs: optional(number()),
  graceMs: number(),
  grant: optional(object({ owner: text(128), epoch: integer(1) })),
});
export type LifeRecord = TypeOf<typeof lifeRecord>;

/** Undefined where nothing is to survive. A sandbox that starts is `pending` to the next agent: HELLO tells what it is. */
export function recordOf(life: SandboxLife): LifeRecord | undefined {
  const { phase, grant } = life;
  if (phase.name === "ending" || phase.name === "gone") return undefined;
  return {
    phase: phase.name === "starting" ? "pending" : phase.name,
    revision: boundOf(phase),
    startMs: "startMs" in phase ? phase.startMs : 0,
    loadMs: "loadMs" in phase ? phase.loadMs : 0,
    initMs: "initMs" in phase ? phase.initMs : 0,
    initBudgetMs: "initBudgetMs" in phase ? phase.initBudgetMs : undefined,
    graceMs: "graceMs" in phase ? phase.graceMs : 0,
    grant: grant === undefined ? undefined : { owner: grant.owner, epoch: grant.epoch },
  };
}

/** It waited in a pool, or was on its way there. */
export function isGeneric(record: LifeRecord): boolean {
  return record.phase === "pending" && record.grant === undefined;
}

/** The grant is good for `grantMs` from now: its owner has as long to come back as it would have had to renew. */
export function restore(record: LifeRecord, nowMs: number, grantMs: number): SandboxLife {
  const grant = record.grant === undefined ? undefined : { ...record.grant, untilMs: nowMs + grantMs };
  return { phase: restorePhase(record, nowMs), grant };
}

/** What a pool held can have been hurt meanwhile: it starts anew, and is pending when its guest answers. */
function restorePhase(record: LifeRecord, nowMs: number): Phase {
  const { startMs, loadMs, initMs, initBudgetMs = 0, revision } = record;
  if (isGeneric(record)) return { name: "starting", sinceMs: nowMs - startMs, untilMs: nowMs + LIFE_LIMITS.greetMs };
  if (record.phase === "pending" || revision === undefined) return { name: "pending", startMs };
  if (record.phase === "draining")
    return { name: "draining", revision, graceMs: record.graceMs, untilMs: nowMs + record.graceMs };
  // How far it has come since this was written the guest says: while it waits for code, as in a start that was cut off, LOAD
  // is sent again.
  if (record.phase === "loading") {
    const untilMs = nowMs + initBudgetMs + LIFE_LIMITS.graceMs;
    return { name: "loading", startMs, revision, sinceMs: nowMs, untilMs, initBudgetMs, sent: true };
  }
  const loaded = { startMs, revision, loadMs, initBudgetMs };
  if (record.phase === "initialising") {
    const untilMs = nowMs + initBudgetMs + LIFE_LIMITS.graceMs;
    return { name: "initialising", ...loaded, sinceMs: nowMs, untilMs };
  }
  return record.phase === "loaded" ? { name: "loaded", ...loaded } : { name: record.phase, ...loaded, initMs };
}
