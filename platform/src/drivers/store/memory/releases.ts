import { claimKey } from "#contract/config/triggers.ts";
import { type FunctionPolicy, revisionName } from "#domain/function/function.ts";
import { claimsOf } from "#domain/function/triggers.ts";
import {
  type FunctionProgress,
  type FunctionRelease,
  hasEnded,
  isAsDecided,
  mergeProgress,
  type Release,
  type ReleaseOutcome,
  releasedProgress,
  removedProgress,
  type StoreLimits,
} from "#ports/store/index.ts";
import { withoutKey } from "./deployments.ts";
import type { Synchronous } from "./driver.ts";
import { heldClaim, newestFirst, removeClaims, removeFunction } from "./functions.ts";
import type { Plans } from "./plans.ts";
import { below, key, type Tables } from "./schema.ts";

export function createReleases(tables: Tables, limits: StoreLimits, plans: Plans): Pick<Synchronous, "release"> {
  return {
    release(tenant, release) {
      const row = tables.deployments.get(key(tenant, release.deployment));
      if (row === undefined) return { kind: "absent" };
      if (hasEnded(row.state)) return { kind: "ended", deployment: withoutKey(row) };
      if (row.state === "released") return { kind: "released", deployment: withoutKey(row) };
      const removed = functionsToRemove(tables, tenant, release);
      const refusal = changedSince(tables, tenant, release) ?? claimedBy(tables, tenant, release, removed);
      if (refusal !== undefined) return refusal;

      touchApp(tables, tenant, release);
      for (const name of removed) removeFunction(tables, plans, tenant, release.app, name);
      // Claims may pass from one function to another, so all are given up before any is taken.
      for (const one of release.functions)
        if (one.kind !== "unchanged") removeClaims(tables, tenant, release.app, one.function);
      const changed = release.functions.map((one) => releaseFunction(tables, limits, plans, tenant, release, one));

      const functions = mergeProgress(row.functions, [...changed, ...removed.map(removedProgress)]);
      const released = { ...row, functions, state: "released" as const };
      tables.deployments.set(key(tenant, row.id), released);
      return { kind: "released", deployment: withoutKey(released) };
    },
  };
}

function functionsToRemove(tables: Tables, tenant: string, release: Release): string[] {
  if (!release.prune) return [];
  const named = new Set(release.functions.map((one) => one.function));
  const all = below(tables.functions, tenant, release.app).map((found) => found.function);
  return all.filter((name) => !named.has(name)).sort();
}

function changedSince(tables: Tables, tenant: string, release: Release): ReleaseOutcome | undefined {
  const other = release.functions.find(
    (one) => !isAsDecided(tables.functions.get(key(tenant, release.app, one.function)), one.from),
  );
  return other && { kind: "changed", function: other.function };
}

function claimedBy(
  tables: Tables,
  tenant: string,
  release: Release,
  removed: readonly string[],
): ReleaseOutcome | undefined {
  const givenUp = new Set([
    ...release.functions.filter((one) => one.kind !== "unchanged").map((one) => one.function),
    ...removed,
  ]);
  const taken = new Map<string, string>();
  for (const one of release.functions) {
    if (one.kind === "unchanged") continue;
    for (const claim of claimsOf(one.policy)) {
      const row = tables.claims.get(claimKey(claim));
      const ours = row?.tenant === tenant && row.app === release.app && givenUp.has(row.function);
      if (row !== undefined && !ours) return { kind: "claimed", function: one.function, held: heldClaim(row, tenant) };
      const other = taken.get(claimKey(claim));
      if (other !== undefined)
        return {
          kind: "claimed",
          function: one.function,
          held: { claim, holder: { app: release.app, function: other } },
        };
      taken.set(claimKey(claim), one.function);
    }
  }
  return undefined;
}

function touchApp(tables: Tables, tenant: string, { app, atMs }: Release): void {
  const createdAtMs = tables.apps.get(key(tenant, app))?.createdAtMs ?? atMs;
  tables.apps.set(key(tenant, app), { tenant, app, createdAtMs, updatedAtMs: atMs });
}

function releaseFunction(
  tables: Tables,
  limits: StoreLimits,
  plans: Plans,
  tenant: string,
  { app, atMs }: Release,
  one: FunctionRelease,
): FunctionProgress {
  if (one.kind === "unchanged") return releasedProgress(one, one.from);
  const at = key(tenant, app, one.function);
  const current = tables.functions.get(at);
  const revision = one.kind === "policy" ? one.from : addRevision(tables, plans, tenant, app, one, atMs);
  const version = plans.changed("routes", tenant, app, one.function, "");
  const live = one.kind === "policy" ? current!.live : [{ revision, weight: 100 }];
  const createdAtMs = current?.createdAtMs ?? atMs;
  const of = { tenant, app, function: one.function };
  tables.functions.set(at, { ...of, version, live, policy: one.policy, createdAtMs, updatedAtMs: atMs });
  takeClaims(tables, tenant, app, one.function, one.policy);
  forgetRevisions(tables, limits, plans, tenant, app, one.function);
  return releasedProgress(one, revision);
}

function addRevision(
  tables: Tables,
  plans: Plans,
  tenant: string,
  app: string,
  one: FunctionRelease & { kind: "revision" },
  atMs: number,
): string {
  const number = (tables.counters.get(key(tenant, app, one.function)) ?? 0) + 1;
  tables.counters.set(key(tenant, app, one.function), number);
  const revision = revisionName(number);
  const row = { tenant, app, function: one.function, revision, ...one.content, createdAtMs: atMs };
  tables.revisions.set(key(tenant, app, one.function, revision), row);
  plans.changed("launches", tenant, app, one.function, revision);
  return revision;
}

function takeClaims(tables: Tables, tenant: string, app: string, name: string, policy: FunctionPolicy): void {
  for (const claim of claimsOf(policy)) tables.claims.set(claimKey(claim), { claim, tenant, app, function: name });
}

function forgetRevisions(
  tables: Tables,
  limits: StoreLimits,
  plans: Plans,
  tenant: string,
  app: string,
  name: string,
): void {
  const live = new Set(tables.functions.get(key(tenant, app, name))?.live.map((share) => share.revision));
  const old = below(tables.revisions, tenant, app, name).sort(newestFirst).slice(limits.revisions);
  for (const { revision } of old) {
    if (live.has(revision)) continue;
    tables.revisions.delete(key(tenant, app, name, revision));
    plans.changed("launches", tenant, app, name, revision, "removed");
  }
}
