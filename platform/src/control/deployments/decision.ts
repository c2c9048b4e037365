import type { Digest } from "#contract/digest.ts";
import { type Change, changeOf } from "#domain/function/change.ts";
import { mainRevision, type RevisionState } from "#domain/function/function.ts";
import type { DeploymentState, Store } from "#ports/store/index.ts";

export interface Decision {
  readonly name: string;
  readonly change: Change;
  /** Main revision that it was decided on. */
  readonly current: RevisionState | undefined;
}

/** What a deployment would do to one of its functions as things stand. */
export async function decide(
  store: Store,
  { tenant, app, request }: Pick<DeploymentState, "tenant" | "app" | "request">,
  name: string,
): Promise<Decision> {
  const state = await store.function(tenant, app, name);
  const current = state && (await store.revision(tenant, app, name, mainRevision(state.live)));
  if (state === undefined || current === undefined) return { name, change: "build", current: undefined };
  const live = { policy: state.policy, revision: current, whole: state.live.length === 1 };
  const { source, config } = request.functions[name]!;
  return { name, change: changeOf(live, { source: source as Digest, config }), current };
}
