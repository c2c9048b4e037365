import type { FunctionConfig } from "#contract/api/resources.ts";
import type { Digest } from "#contract/digest.ts";
import { type Change, changeOf } from "#domain/function/change.ts";
import { mainRevision, type RevisionState } from "#domain/function/function.ts";
import { type Environment, overridden } from "#domain/function/overrides.ts";
import type { Store } from "#ports/store/index.ts";
import type { Wanted } from "./wanted.ts";

export interface Decision {
  readonly name: string;
  readonly change: Change;
  /** Main revision that it was decided on. */
  readonly current: RevisionState | undefined;
  /** With what `config set` put in the place of colibri.yaml's. */
  readonly config: FunctionConfig;
  /** The environment as colibri.yaml has it. */
  readonly declared: Environment;
}

/** What a deployment would do to one of its functions as things stand. */
export async function decide(
  store: Store,
  tenant: string,
  { request, overrides, networkChanges }: Wanted,
  name: string,
): Promise<Decision> {
  const { app } = request;
  const { source, config: written } = request.functions[name]!;
  const config = overridden(written, overrides, name);
  const wanted = { source: source as Digest, config, declared: written.environment };
  const decided = { name, config, declared: written.environment };
  const state = await store.function(tenant, app, name);
  const current = state && (await store.revision(tenant, app, name, mainRevision(state.live)));
  if (state === undefined || current === undefined) return { ...decided, change: "build", current: undefined };
  const live = { policy: state.policy, revision: current, whole: state.live.length === 1 };
  const change = changeOf(live, wanted);
  // A policy that a function shares with its app is one all the same.
  return { ...decided, change: change === "unchanged" && networkChanges ? "policy" : change, current };
}
