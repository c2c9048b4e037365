import type { Kysely } from "kysely";
import type { FunctionRef } from "#contract/names.ts";
import { type FunctionPolicy, type FunctionState, revisionName, revisionNumber } from "#domain/function/function.ts";
import { claimsOf } from "#domain/function/triggers.ts";
import {
  changingIn,
  claimsWanted,
  decideRelease,
  type FunctionProgress,
  type FunctionRelease,
  type Release,
  type ReleaseOutcome,
  released,
  releasedFunction,
  releasedNetwork,
  releasedProgress,
  removedProgress,
  revisionsToForget,
  type StoreLimits,
} from "#ports/store/index.ts";
import { rowOf, saveCourse } from "./deployments.ts";
import { holdersOf, removeClaims, removeFunction, selectRevisions } from "./functions.ts";
import { planChanged } from "./plans.ts";
import { deploymentOf, functionOf, functionRow } from "./rows.ts";
import type { Database } from "./schema.ts";

export function releaseIn(
  db: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  release: Release,
): Promise<ReleaseOutcome> {
  return db.transaction().execute(async (tx) => {
    const row = await rowOf(tx, tenant, release.deployment);
    const functions = await functionsOf(tx, tenant, release.app);
    const holders = await holdersOf(tx, claimsWanted(release));
    const decided = decideRelease(tenant, release, row && deploymentOf(row), functions, holders);
    if (decided.kind !== "accepted") return decided;
    const results = await perform(tx, limits, tenant, release, functions, decided.removed);
    const deployment = released(decided.deployment, results);
    await saveCourse(tx, deployment);
    return { kind: "released", deployment };
  });
}

async function functionsOf(tx: Kysely<Database>, tenant: string, app: string): Promise<Map<string, FunctionState>> {
  const rows = await tx
    .selectFrom("functions")
    .selectAll()
    .where((where) => where.and({ tenant, app }))
    .execute();
  return new Map(rows.map((row) => [row.function, functionOf(row)]));
}

async function perform(
  tx: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  release: Release,
  functions: ReadonlyMap<string, FunctionState>,
  removed: readonly string[],
): Promise<FunctionProgress[]> {
  const { app, atMs } = release;
  await touchApp(tx, limits, tenant, release);
  for (const name of removed) await removeFunction(tx, limits, { tenant, app, function: name });
  for (const one of changingIn(release)) await removeClaims(tx, { tenant, app, function: one.function });
  const results: FunctionProgress[] = [];
  for (const one of release.functions) {
    const of = { tenant, app, function: one.function };
    const revision = await releaseFunction(tx, limits, of, functions.get(one.function), one, atMs);
    results.push(releasedProgress(one, revision));
  }
  return [...results, ...removed.map(removedProgress)];
}

async function touchApp(tx: Kysely<Database>, limits: StoreLimits, tenant: string, release: Release): Promise<void> {
  const { app, atMs } = release;
  const found = tx.selectFrom("apps").select("network_json");
  const row = await found.where((where) => where.and({ tenant, app })).executeTakeFirst();
  const { network, changes } = releasedNetwork(release, row && JSON.parse(row.network_json));
  const changed = { network_json: JSON.stringify(network), updated_at_ms: atMs };
  await tx
    .insertInto("apps")
    .values({ tenant, app, created_at_ms: atMs, ...changed })
    .onConflict((conflict) => conflict.columns(["tenant", "app"]).doUpdateSet(changed))
    .execute();
  if (changes) await launchesChanged(tx, limits, tenant, app);
}

/** Of every revision that there is of the app. */
async function launchesChanged(tx: Kysely<Database>, limits: StoreLimits, tenant: string, app: string): Promise<void> {
  const all = tx.selectFrom("revisions").select(["function", "number"]);
  for (const row of await all.where((where) => where.and({ tenant, app })).execute())
    await planChanged(tx, limits, { tenant, app, function: row.function, topic: "launches", revision: row.number });
}

/** Answers the revision that callers get from now on. */
async function releaseFunction(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionRef,
  current: FunctionState | undefined,
  one: FunctionRelease,
  atMs: number,
): Promise<string> {
  if (one.kind === "unchanged") return one.from;
  const revision = one.kind === "policy" ? one.from : await addRevision(tx, limits, of, one, atMs);
  const version = await planChanged(tx, limits, { ...of, topic: "routes", revision: 0 });
  const state = releasedFunction(of, current, one, { revision, version, atMs });
  await tx
    .insertInto("functions")
    .values(functionRow(state))
    .onConflict((conflict) => conflict.columns(["tenant", "app", "function"]).doUpdateSet(functionRow(state)))
    .execute();
  await takeClaims(tx, of, one.policy);
  await forgetRevisions(tx, limits, of, state);
  return revision;
}

async function addRevision(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionRef,
  { content }: FunctionRelease & { kind: "revision" },
  atMs: number,
): Promise<string> {
  const { last } = await tx
    .insertInto("revision_counters")
    .values({ ...of, last: 1 })
    .onConflict((conflict) =>
      conflict
        .columns(["tenant", "app", "function"])
        .doUpdateSet((row) => ({ last: row("revision_counters.last", "+", 1) })),
    )
    .returning("last")
    .executeTakeFirstOrThrow();
  const row = {
    ...of,
    number: last,
    source: content.source,
    bundle_digest: content.bundle.digest,
    bundle_bytes: content.bundle.bytes,
    config_json: JSON.stringify(content.config),
    declared_json: content.declared === undefined ? null : JSON.stringify(content.declared),
    created_at_ms: atMs,
  };
  await tx.insertInto("revisions").values(row).execute();
  await planChanged(tx, limits, { ...of, topic: "launches", revision: last });
  return revisionName(last);
}

async function takeClaims(tx: Kysely<Database>, of: FunctionRef, policy: FunctionPolicy): Promise<void> {
  for (const claim of claimsOf(policy))
    await tx
      .insertInto("claims")
      .values({ ...of, ...claim })
      .execute();
}

async function forgetRevisions(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionRef,
  { live }: FunctionState,
): Promise<void> {
  const wanted = selectRevisions(tx, of.tenant, of.app, of.function).clearSelect().select("number");
  const rows = await wanted.orderBy("number", "desc").execute();
  const names = rows.map((row) => revisionName(row.number));
  for (const number of revisionsToForget(names, live, limits.revisions).map(revisionNumber)) {
    await tx
      .deleteFrom("revisions")
      .where((where) => where.and({ ...of, number }))
      .execute();
    await planChanged(tx, limits, { ...of, topic: "launches", revision: number }, "removed");
  }
}
