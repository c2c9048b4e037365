import type { Kysely } from "kysely";
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
import { rowOf } from "./deployments.ts";
import { type FunctionKey, removeClaims, removeFunction, selectRevisions } from "./functions.ts";
import { planChanged } from "./plans.ts";
import { deploymentOf, functionOf, heldClaimOf } from "./rows.ts";
import type { Database, DeploymentRow, FunctionRow } from "./schema.ts";

export function releaseIn(
  db: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  release: Release,
): Promise<ReleaseOutcome> {
  return db.transaction().execute(async (tx) => {
    const row = await rowOf(tx, tenant, release.deployment);
    if (row === undefined) return { kind: "absent" };
    if (hasEnded(row.state)) return { kind: "ended", deployment: deploymentOf(row) };
    if (row.state === "released") return { kind: "released", deployment: deploymentOf(row) };
    const functions = await functionsOf(tx, tenant, release.app);
    const removed = release.prune ? notNamed(functions, release) : [];
    const refusal = changedSince(functions, release) ?? (await claimedBy(tx, tenant, release, removed));
    if (refusal !== undefined) return refusal;
    const results = await perform(tx, limits, tenant, release, functions, removed);
    return { kind: "released", deployment: deploymentOf(await released(tx, row, results)) };
  });
}

async function functionsOf(tx: Kysely<Database>, tenant: string, app: string): Promise<Map<string, FunctionRow>> {
  const rows = await tx
    .selectFrom("functions")
    .selectAll()
    .where((where) => where.and({ tenant, app }))
    .execute();
  return new Map(rows.map((row) => [row.function, row]));
}

function notNamed(functions: ReadonlyMap<string, FunctionRow>, release: Release): string[] {
  const named = new Set(release.functions.map((one) => one.function));
  return [...functions.keys()].filter((name) => !named.has(name)).sort();
}

function changedSince(functions: ReadonlyMap<string, FunctionRow>, release: Release): ReleaseOutcome | undefined {
  const other = release.functions.find((one) => {
    const row = functions.get(one.function);
    return !isAsDecided(row && functionOf(row), one.from);
  });
  return other && { kind: "changed", function: other.function };
}

async function claimedBy(
  tx: Kysely<Database>,
  tenant: string,
  release: Release,
  removed: readonly string[],
): Promise<ReleaseOutcome | undefined> {
  const changed = release.functions.filter((one) => one.kind !== "unchanged");
  const givenUp = new Set([...changed.map((one) => one.function), ...removed]);
  const taken = new Map<string, string>();
  for (const one of changed) {
    for (const claim of claimsOf(one.policy)) {
      const row = await tx
        .selectFrom("claims")
        .selectAll()
        .where((where) => where.and({ ...claim }))
        .executeTakeFirst();
      const ours = row?.tenant === tenant && row.app === release.app && givenUp.has(row.function);
      if (row !== undefined && !ours)
        return { kind: "claimed", function: one.function, held: heldClaimOf(row, tenant) };
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

async function perform(
  tx: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  release: Release,
  functions: ReadonlyMap<string, FunctionRow>,
  removed: readonly string[],
): Promise<FunctionProgress[]> {
  const { app, atMs } = release;
  await touchApp(tx, tenant, app, atMs);
  for (const name of removed) await removeFunction(tx, limits, { tenant, app, function: name });
  // Claims may pass from one function to another, so all are given up before any is taken.
  for (const one of release.functions)
    if (one.kind !== "unchanged") await removeClaims(tx, { tenant, app, function: one.function });
  const results: FunctionProgress[] = [];
  for (const one of release.functions) {
    const of = { tenant, app, function: one.function };
    const revision = await releaseFunction(tx, limits, of, functions.get(one.function), one, atMs);
    results.push(releasedProgress(one, revision));
  }
  return [...results, ...removed.map(removedProgress)];
}

async function touchApp(tx: Kysely<Database>, tenant: string, app: string, atMs: number): Promise<void> {
  await tx
    .insertInto("apps")
    .values({ tenant, app, created_at_ms: atMs, updated_at_ms: atMs })
    .onConflict((conflict) => conflict.columns(["tenant", "app"]).doUpdateSet({ updated_at_ms: atMs }))
    .execute();
}

/** Answers the revision that callers get from now on. */
async function releaseFunction(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionKey,
  current: FunctionRow | undefined,
  one: FunctionRelease,
  atMs: number,
): Promise<string> {
  if (one.kind === "unchanged") return one.from;
  const revision = one.kind === "policy" ? one.from : await addRevision(tx, limits, of, one, atMs);
  const version = await planChanged(tx, limits, { ...of, topic: "routes", revision: 0 });
  const live = one.kind === "policy" ? current!.live_json : JSON.stringify([{ revision, weight: 100 }]);
  const changed = { version, live_json: live, policy_json: JSON.stringify(one.policy), updated_at_ms: atMs };
  await tx
    .insertInto("functions")
    .values({ ...of, ...changed, created_at_ms: atMs })
    .onConflict((conflict) => conflict.columns(["tenant", "app", "function"]).doUpdateSet(changed))
    .execute();
  await takeClaims(tx, of, one.policy);
  await forgetRevisions(tx, limits, of, live);
  return revision;
}

async function addRevision(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionKey,
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
    created_at_ms: atMs,
  };
  await tx.insertInto("revisions").values(row).execute();
  await planChanged(tx, limits, { ...of, topic: "launches", revision: last });
  return revisionName(last);
}

async function takeClaims(tx: Kysely<Database>, of: FunctionKey, policy: FunctionPolicy): Promise<void> {
  for (const claim of claimsOf(policy))
    await tx
      .insertInto("claims")
      .values({ ...of, ...claim })
      .execute();
}

/** Old revisions that `live` does not name. */
async function forgetRevisions(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionKey,
  live: string,
): Promise<void> {
  const kept = new Set((JSON.parse(live) as { revision: string }[]).map((share) => share.revision));
  const old = await selectRevisions(tx, of.tenant, of.app, of.function)
    .clearSelect()
    .select("number")
    .orderBy("number", "desc")
    .limit(-1)
    .offset(limits.revisions)
    .execute();
  for (const { number } of old) {
    if (kept.has(revisionName(number))) continue;
    await tx
      .deleteFrom("revisions")
      .where((where) => where.and({ ...of, number }))
      .execute();
    await planChanged(tx, limits, { ...of, topic: "launches", revision: number }, "removed");
  }
}

async function released(
  tx: Kysely<Database>,
  row: DeploymentRow,
  results: readonly FunctionProgress[],
): Promise<DeploymentRow> {
  const { tenant, id } = row;
  const functions_json = JSON.stringify(mergeProgress(JSON.parse(row.functions_json), results));
  const changed = { functions_json, state: "released" as const };
  await tx
    .updateTable("deployments")
    .set(changed)
    .where((where) => where.and({ tenant, id }))
    .execute();
  return { ...row, ...changed };
}
