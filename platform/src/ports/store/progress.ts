import { type FunctionState, mainRevision } from "#domain/function/function.ts";
import type { DeploymentPhase, FunctionProgress, FunctionRelease, NewDeployment, NewEvent } from "./deployment.ts";
import { EVENTS_CUT } from "./limits.ts";

/** Rules that every driver shares, so that drivers differ in how they keep things only. */

export function hasEnded(state: DeploymentPhase): boolean {
  return state === "done" || state === "failed";
}

/** Only what was released can be done, and it can't fail any more. */
export function mayBecome(from: DeploymentPhase, to: DeploymentPhase | undefined): boolean {
  if (hasEnded(from)) return false;
  return to === undefined || (from === "released") === (to === "done");
}

export function initialProgress(deployment: NewDeployment): FunctionProgress[] {
  return Object.keys(deployment.request.functions).map((name) => ({ function: name, state: "queued" as const }));
}

export function mergeProgress(
  before: readonly FunctionProgress[],
  changed: readonly FunctionProgress[] = [],
): FunctionProgress[] {
  const merged = new Map(before.map((entry) => [entry.function, entry]));
  for (const entry of changed) merged.set(entry.function, entry);
  return [...merged.values()];
}

/** Which of `events` are kept after `last` others; the first output beyond the limit becomes a note that says so. */
export function keptEvents(
  events: readonly NewEvent[],
  last: number,
  limit: number,
): (NewEvent & { number: number })[] {
  const kept: (NewEvent & { number: number })[] = [];
  let cut = last > limit;
  for (const event of events) {
    const number = last + kept.length + 1;
    if (event.kind !== "output" || number <= limit) kept.push({ ...event, number });
    else if (!cut) {
      kept.push({ ...event, text: EVENTS_CUT, number });
      cut = true;
    }
  }
  return kept;
}

/** Whether a function still is what a release was decided on. */
export function isAsDecided(current: FunctionState | undefined, from: string | undefined): boolean {
  return current === undefined ? from === undefined : from === mainRevision(current.live);
}

/** What a released function's entry says; `revision` is the number that the store gave. */
export function releasedProgress(release: FunctionRelease, revision: string): FunctionProgress {
  const entry = { function: release.function, state: "done" as const, revision };
  if (release.kind !== "revision") return { ...entry, change: release.kind };
  return { ...entry, change: release.change, bundle: release.content.bundle };
}

export function removedProgress(name: string): FunctionProgress {
  return { function: name, state: "done", change: "removed" };
}
