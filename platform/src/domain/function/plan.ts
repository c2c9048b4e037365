import type { FunctionConfig } from "#contract/api/resources.ts";
import { builtHandler } from "#contract/config/handler.ts";
import { type FunctionRef, functionKey, revisionKey } from "#contract/names.ts";
import { INTERNET, type NetworkPolicy } from "#contract/network/policy.ts";
import { type LaunchSpec, planProblem, type RoutePlan } from "#contract/plan/plan.ts";
import { type BundleRef, type FunctionState, type RevisionState, revisionName, splitConfig } from "./function.ts";
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

/** What agents are told of a revision; `network` is its app's. */
export function launchSpec(state: RevisionState, network: NetworkPolicy): LaunchSpec {
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
    network,
    sealedSecrets: [],
  };
}

/**
 * Why readers of the plan stream would refuse what this becomes, such as `.policy.queue.length: expected …`. The revision's name
 * is the store's to give and makes no difference.
 */
export function plansProblem(
  ref: FunctionRef,
  config: FunctionConfig,
  bundle: BundleRef,
  network: NetworkPolicy = INTERNET,
): string | undefined {
  const { revision: own, policy } = splitConfig(config);
  const revision = { ...ref, revision: revisionName(1), source: bundle.digest, bundle, config: own, createdAtMs: 0 };
  const live = [{ revision: revision.revision, weight: 100 }];
  const state = { ...ref, version: 1, live, policy, createdAtMs: 0, updatedAtMs: 0 };
  const problem = planProblem("routes", functionKey(ref), routePlan(state, [revision]));
  return problem ?? planProblem("launches", revisionKey(revision), launchSpec(revision, network));
}
