import { claimKey } from "#contract/config/triggers.ts";
import { type FunctionPolicy, type FunctionState, revisionName } from "#domain/function/function.ts";
import { claimsOf } from "#domain/function/triggers.ts";
import {
  type ClaimHolder,
  changingIn,
  claimsWanted,
  decideRelease,
  type FunctionProgress,
  type FunctionRelease,
  type Release,
  released,
  releasedFunction,
  releasedNetwork,
  releasedProgress,
  removedProgress,
  revisionsToForget,
  type StoreLimits,
} from "#ports/store/index.ts";
import { withoutKey } from "./deployments.ts";
import type { Synchronous } from "./driver.ts";
import { newestFirst, removeClaims, removeFunction } from "./functions.ts";
import type { Plans } from "./plans.ts";
import { below, key, type Tables } from "./schema.ts";

export function createRelease(tables: Tables, limits: StoreLimits, plans: Plans): Pick<Synchronous, "release"> {
  return {
    release(tenant, release) {
      const row = tables.deployments.get(key(tenant, release.deployment));
      const functions = functionsOf(tables, tenant, release.app);
      const decided = decideRelease(tenant, release, row && withoutKey(row), functions, holders(tables, release));
      if (decided.kind !== "accepted") return decided;

      touchApp(tables, plans, tenant, release);
      for (const name of decided.removed) removeFunction(tables, plans, tenant, release.app, name);
      for (const one of changingIn(release)) removeClaims(tables, tenant, release.app, one.function);
      const changed = release.functions.map((one) => releaseFunction(tables, limits, plans, tenant, release, one));

      const deployment = released(decided.deployment, [...changed, ...decided.removed.map(removedProgress)]);
      tables.deployments.set(key(tenant, deployment.id), { ...row, ...deployment });
      return { kind: "released", deployment };
    },
  };
}

function functionsOf(tables: Tables, tenant: string, app: string): Map<string, FunctionState> {
  return new Map(below(tables.functions, tenant, app).map((found) => [found.function, found]));
}

function holders(tables: Tables, release: Release): ClaimHolder[] {
  return claimsWanted(release).flatMap((claim) => tables.claims.get(claimKey(claim)) ?? []);
}

function touchApp(tables: Tables, plans: Plans, tenant: string, release: Release): void {
  const { app, atMs } = release;
  const current = tables.apps.get(key(tenant, app));
  const { network, changes } = releasedNetwork(release, current?.network);
  tables.apps.set(key(tenant, app), {
    ...{ tenant, app, network },
    ...{ createdAtMs: current?.createdAtMs ?? atMs, updatedAtMs: atMs },
  });
  if (!changes) return;
  for (const { function: name, revision } of below(tables.revisions, tenant, app))
    plans.changed("launches", tenant, app, name, revision);
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
  const of = { tenant, app, function: one.function };
  const state = releasedFunction(of, current, one, { revision, version, atMs });
  tables.functions.set(at, state);
  takeClaims(tables, tenant, app, one.function, one.policy);
  forgetRevisions(tables, limits, plans, state);
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

function forgetRevisions(tables: Tables, limits: StoreLimits, plans: Plans, state: FunctionState): void {
  const { tenant, app, function: name, live } = state;
  const revisions = below(tables.revisions, tenant, app, name).sort(newestFirst);
  const names = revisions.map((row) => row.revision);
  for (const revision of revisionsToForget(names, live, limits.revisions)) {
    tables.revisions.delete(key(tenant, app, name, revision));
    plans.changed("launches", tenant, app, name, revision, "removed");
  }
}
