import type { App, Deployment, DeploymentEvent, FunctionResource, Revision } from "#contract/api/resources.ts";
import { functionPath } from "#contract/names.ts";
import type { FunctionState, RevisionState } from "#domain/function/function.ts";
import { declaredEnvironment, overriddenNames } from "#domain/function/overrides.ts";
import type { AppState, DeploymentState, StoredEvent } from "#ports/store/index.ts";

/** What the store holds, as the API shows it. */

export function viewApp(state: AppState): App {
  const { tenant, app, network, functions } = state;
  const shown = network.kind === "allow" ? { ...network, hosts: [...network.hosts] } : network;
  return {
    tenant,
    app,
    network: shown,
    functions,
    createdAt: timeOf(state.createdAtMs),
    updatedAt: timeOf(state.updatedAtMs),
  };
}

/** `main`: the revision whose configuration is shown. */
export function viewFunction(state: FunctionState, main: RevisionState): FunctionResource {
  return {
    tenant: state.tenant,
    app: state.app,
    function: state.function,
    url: functionPath(state),
    live: state.live.map(({ revision, weight }) => ({ revision, weight })),
    source: main.source,
    config: { ...main.config, environment: { ...declaredEnvironment(main) }, policy: state.policy },
    overridden: overriddenNames(main),
    createdAt: timeOf(state.createdAtMs),
    updatedAt: timeOf(state.updatedAtMs),
  };
}

export function viewRevision(state: RevisionState): Revision {
  const { runtime, handler, memoryMiB, timeoutMs, concurrency, execution } = state.config;
  return {
    revision: state.revision,
    bundle: state.bundle,
    source: state.source,
    runtime,
    handler,
    memoryMiB,
    timeoutMs,
    concurrency,
    execution,
    environment: { ...declaredEnvironment(state) },
    overridden: overriddenNames(state),
    createdAt: timeOf(state.createdAtMs),
  };
}

export function viewDeployment(state: DeploymentState): Deployment {
  const { tenant, id, app } = state;
  const finished = state.finishedAtMs === undefined ? {} : { finishedAt: timeOf(state.finishedAtMs) };
  const functions = state.functions.map((entry) => {
    const answers = entry.state === "done" && entry.change !== "removed";
    return answers ? { ...entry, url: functionPath({ tenant, app, function: entry.function }) } : entry;
  });
  return {
    ...{ id, tenant, app, state: shownState(state), createdAt: timeOf(state.createdAtMs) },
    ...finished,
    functions,
    warnings: [...state.warnings],
  };
}

/** For callers the release goes on until it is live. */
function shownState({ state }: DeploymentState): Deployment["state"] {
  return state === "released" ? "releasing" : state;
}

export function viewEvent({ number, atMs, kind, function: name, text }: StoredEvent): DeploymentEvent {
  return { number, at: timeOf(atMs), kind, ...(name === undefined ? {} : { function: name }), text };
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
