import type { Digest } from "#contract/digest.ts";
import type {
  DeploymentPhase,
  DeploymentState,
  FunctionProgress,
  Idempotency,
  KnownDeployment,
  NewDeployment,
  NewEvent,
  Progress,
} from "./deployment.ts";
import { EVENTS_CUT } from "./limits.ts";

/** A deployment's course, decided here for all drivers, so that they differ in how they keep things only. */

export function hasEnded(state: DeploymentPhase): boolean {
  return state === "done" || state === "failed";
}

export function newDeployment(tenant: string, wanted: NewDeployment): DeploymentState {
  const { id, app, request, warnings, createdAtMs } = wanted;
  const functions = Object.keys(request.functions).map((name) => ({ function: name, state: "queued" as const }));
  return { tenant, id, app, state: "queued", attempts: 0, request, functions, warnings, createdAtMs };
}

export function firstEvents({ createdAtMs }: NewDeployment): NewEvent[] {
  return [{ atMs: createdAtMs, kind: "state", text: "queued" }];
}

/** `request`: what the deployment that has the key was asked with. */
export function knownBy(asked: Idempotency, deployment: DeploymentState, request: string | undefined): KnownDeployment {
  return request === asked.request ? { kind: "repeated", deployment } : { kind: "mismatch", id: deployment.id };
}

/** Undefined: it can't go on so. Only what was released can be done, and it can't fail any more. */
export function advanced(state: DeploymentState, progress: Progress): DeploymentState | undefined {
  if (!mayBecome(state.state, progress.state)) return undefined;
  return {
    ...state,
    state: progress.state ?? state.state,
    attempts: progress.attempts ?? state.attempts,
    functions: mergeProgress(state.functions, progress.functions),
    ...(progress.state !== undefined && hasEnded(progress.state) ? { finishedAtMs: progress.atMs } : {}),
  };
}

function mayBecome(from: DeploymentPhase, to: DeploymentPhase | undefined): boolean {
  if (hasEnded(from)) return false;
  return to === undefined || (from === "released") === (to === "done");
}

/** As a release leaves it, with what became of each function. */
export function released(state: DeploymentState, results: readonly FunctionProgress[]): DeploymentState {
  return { ...state, state: "released", functions: mergeProgress(state.functions, results) };
}

function mergeProgress(
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

/** Blobs that these deployments need. A request was admitted with digests only, which its schema can say of text alone. */
export function digestsOf(deployments: readonly DeploymentState[]): Digest[] {
  return deployments.flatMap(({ request, functions }) => [
    ...Object.values(request.functions).map((wanted) => wanted.source as Digest),
    ...functions.flatMap((entry) => (entry.bundle?.digest as Digest | undefined) ?? []),
  ]);
}
