import { builtHandler } from "#contract/config/handler.ts";
import type { LaunchSpec, RoutePlan } from "#contract/plan/plan.ts";
import type { FunctionState, RevisionState } from "./function.ts";
import { familyOf } from "./runtime.ts";
import { httpTriggers } from "./triggers.ts";

/** What gateways are told of a function. `revisions` are those that `live` names. */
export function routePlan(state: FunctionState, revisions: readonly RevisionState[]): RoutePlan {
  const { scaling, queue, limits } = state.policy;
  return {
    tenant: state.tenant,
    app: state.app,
    function: state.function,
    live: state.live,
    revisions: Object.fromEntries(revisions.map((revision) => [revision.revision, dispatchView(revision)])),
    policy: { scaling, queue, limits, access: { kind: "open" }, triggers: httpTriggers(state.policy) },
  };
}

function dispatchView({ config }: RevisionState): RoutePlan["revisions"][string] {
  const { memoryMiB, concurrency, timeoutMs } = config;
  return { runtime: familyOf(config.runtime), memoryMiB, concurrency, timeoutMs };
}

/** What agents are told of a revision. */
export function launchSpec(state: RevisionState): LaunchSpec {
  const { config } = state;
  return {
    tenant: state.tenant,
    app: state.app,
    function: state.function,
    revision: state.revision,
    runtime: familyOf(config.runtime),
    handler: builtHandler(config.handler),
    execution: config.execution,
    bundle: state.bundle,
    memoryMiB: config.memoryMiB,
    concurrency: config.concurrency,
    timeoutMs: config.timeoutMs,
    initTimeoutMs: config.initTimeoutMs,
    environment: config.environment,
    sealedSecrets: [],
  };
}
