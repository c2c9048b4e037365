import { claimKey } from "#contract/config/triggers.ts";
import type { FunctionRef } from "#contract/names.ts";
import { INTERNET, type NetworkPolicy, samePolicy } from "#contract/network/policy.ts";
import { type FunctionState, type LiveShare, mainRevision } from "#domain/function/function.ts";
import { type Claim, claimsOf } from "#domain/function/triggers.ts";
import type {
  DeploymentState,
  FunctionProgress,
  FunctionRelease,
  HeldClaim,
  Release,
  ReleaseOutcome,
} from "./deployment.ts";
import { hasEnded } from "./progress.ts";

/** What a release comes to, decided here for all drivers, so that they differ in how they keep things only. */

/** Who answers a claim now. */
export interface ClaimHolder extends FunctionRef {
  readonly claim: Claim;
}

/** But for `accepted`, which is still to be done, what the release comes to. */
export type ReleaseDecision =
  | { readonly kind: "accepted"; readonly deployment: DeploymentState; readonly removed: readonly string[] }
  | ReleaseOutcome;

type ChangingRelease = Exclude<FunctionRelease, { readonly kind: "unchanged" }>;

/** Those whose policy takes effect: they give up their claims before any is taken, for claims may pass between them. */
export function changingIn(release: Release): ChangingRelease[] {
  return release.functions.filter((one) => one.kind !== "unchanged");
}

/** The claims whose holders a decision needs. */
export function claimsWanted(release: Release): Claim[] {
  return changingIn(release).flatMap((one) => claimsOf(one.policy));
}

/** `deployment`: the one that is released, if it is there. `functions`: all of the app, by name. `holders`: of the claims that are wanted, where they are held. */
export function decideRelease(
  tenant: string,
  release: Release,
  deployment: DeploymentState | undefined,
  functions: ReadonlyMap<string, FunctionState>,
  holders: readonly ClaimHolder[],
): ReleaseDecision {
  if (deployment === undefined) return { kind: "absent" };
  if (hasEnded(deployment.state)) return { kind: "ended", deployment };
  // It has happened before.
  if (deployment.state === "released") return { kind: "released", deployment };
  const removed = release.prune ? notNamed(functions, release) : [];
  const refused = changedSince(functions, release) ?? claimedBy(tenant, release, removed, holders);
  return refused ?? { kind: "accepted", deployment, removed };
}

function notNamed(functions: ReadonlyMap<string, FunctionState>, release: Release): string[] {
  const named = new Set(release.functions.map((one) => one.function));
  return [...functions.keys()].filter((name) => !named.has(name)).sort();
}

function changedSince(functions: ReadonlyMap<string, FunctionState>, release: Release): ReleaseDecision | undefined {
  const other = release.functions.find((one) => {
    const current = functions.get(one.function);
    return one.from !== (current && mainRevision(current.live));
  });
  return other && { kind: "changed", function: other.function };
}

function claimedBy(
  tenant: string,
  release: Release,
  removed: readonly string[],
  holders: readonly ClaimHolder[],
): ReleaseDecision | undefined {
  const { app } = release;
  const changing = changingIn(release);
  const givenUp = new Set([...changing.map((one) => one.function), ...removed]);
  const kept = holders.filter((held) => held.tenant !== tenant || held.app !== app || !givenUp.has(held.function));
  const taken = new Map(kept.map((held) => [claimKey(held.claim), held]));
  for (const one of changing) {
    for (const claim of claimsOf(one.policy)) {
      const holder = taken.get(claimKey(claim));
      if (holder !== undefined) return { kind: "claimed", function: one.function, held: heldClaim(holder, tenant) };
      taken.set(claimKey(claim), { claim, tenant, app, function: one.function });
    }
  }
  return undefined;
}

/** Another tenant's holder is not named. */
export function heldClaim({ claim, ...holder }: ClaimHolder, tenant: string): HeldClaim {
  return holder.tenant === tenant ? { claim, holder: { app: holder.app, function: holder.function } } : { claim };
}

/** The app's network as the release leaves it; `changes`: the plans of the revisions there are say another one. */
export function releasedNetwork(
  { network }: Pick<Release, "network">,
  current: NetworkPolicy | undefined,
): { readonly network: NetworkPolicy; readonly changes: boolean } {
  const before = current ?? INTERNET;
  const after = network ?? before;
  return { network: after, changes: !samePolicy(before, after) };
}

/** The function as the release leaves it; `revision` and `version` are the numbers that the store gave. */
export function releasedFunction(
  { tenant, app, function: name }: FunctionRef,
  current: FunctionState | undefined,
  release: ChangingRelease,
  given: { readonly revision: string; readonly version: number; readonly atMs: number },
): FunctionState {
  const { revision, version, atMs } = given;
  const live = release.kind === "policy" && current !== undefined ? current.live : [{ revision, weight: 100 }];
  const createdAtMs = current?.createdAtMs ?? atMs;
  return { tenant, app, function: name, version, live, policy: release.policy, createdAtMs, updatedAtMs: atMs };
}

/** Of a function's revisions, newest first: the old ones that `live` does not name. */
export function revisionsToForget(revisions: readonly string[], live: readonly LiveShare[], limit: number): string[] {
  const kept = new Set(live.map((share) => share.revision));
  return revisions.slice(limit).filter((revision) => !kept.has(revision));
}

/** What a released function's entry says; `revision` is the one that callers get from now on. */
export function releasedProgress(release: FunctionRelease, revision: string): FunctionProgress {
  const { overridden = [] } = release;
  const told = overridden.length > 0 ? { overridden: [...overridden] } : {};
  const entry = { function: release.function, state: "done" as const, revision, ...told };
  if (release.kind !== "revision") return { ...entry, change: release.kind };
  return { ...entry, change: release.change, bundle: release.content.bundle };
}

export function removedProgress(name: string): FunctionProgress {
  return { function: name, state: "done", change: "removed" };
}

/** `expected`: the version that whoever deletes it has seen. */
export function decideDeletion(
  current: number | undefined,
  expected: number | undefined,
): "deleted" | "absent" | "changed" {
  if (current === undefined) return "absent";
  return expected !== undefined && expected !== current ? "changed" : "deleted";
}
