import type { DeploymentRequest } from "#contract/api/resources.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import { type FunctionState, mainRevision, type RevisionState } from "#domain/function/function.ts";
import { declaredEnvironment, type Overrides } from "#domain/function/overrides.ts";
import { type DeploymentState, releasedNetwork, type Store } from "#ports/store/index.ts";

/** What a deployment is to bring about as things stand. */
export interface Wanted {
  /** Configurations as colibri.yaml has them. */
  readonly request: DeploymentRequest;
  readonly overrides: Overrides;
  /** The app's network as it is to be; `changes`: it is another one now. */
  readonly network: NetworkPolicy;
  readonly networkChanges: boolean;
}

const FUNCTIONS_AT_ONCE = 1_000;

/** A reconfiguration wants the functions there are when it is its turn: those that were deployed before it included. */
export async function wantedBy(
  store: Store,
  { tenant, app, request }: Pick<DeploymentState, "tenant" | "app" | "request">,
): Promise<Wanted> {
  const overrides = await store.overrides(tenant, app);
  const { reconfigure, ...plain } = request;
  const { network, changes } = releasedNetwork(request, (await store.app(tenant, app))?.network);
  const settled = { overrides, network, networkChanges: changes };
  if (reconfigure === undefined) return { request: plain, ...settled };
  const functions: DeploymentRequest["functions"] = {};
  for (const state of await functionsOf(store, tenant, app)) {
    if (reconfigure.function !== undefined && reconfigure.function !== state.function) continue;
    const main = await store.revision(tenant, app, state.function, mainRevision(state.live));
    if (main !== undefined) functions[state.function] = asDeclared(state, main);
  }
  return { request: { app, functions }, ...settled };
}

export async function functionsOf(store: Store, tenant: string, app: string): Promise<FunctionState[]> {
  const all: FunctionState[] = [];
  for (let after: string | undefined; ; after = all.at(-1)?.function) {
    const some = await store.functions(tenant, app, { after, limit: FUNCTIONS_AT_ONCE });
    all.push(...some);
    if (some.length < FUNCTIONS_AT_ONCE) return all;
  }
}

function asDeclared({ policy }: FunctionState, main: RevisionState): DeploymentRequest["functions"][string] {
  const config = { ...main.config, environment: { ...declaredEnvironment(main) }, policy };
  return { config, source: main.source };
}
