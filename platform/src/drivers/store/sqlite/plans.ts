import type { Kysely } from "kysely";
import { functionKey, revisionKey } from "#contract/names.ts";
import type { NetworkPolicy } from "#contract/network/policy.ts";
import type { PlanTopic } from "#contract/plan/plan.ts";
import { type FunctionState, type RevisionState, revisionName } from "#domain/function/function.ts";
import type { PlanEntry, PlanReading, StoreLimits } from "#ports/store/index.ts";
import { functionOf, revisionOf } from "./rows.ts";
import type { ChangeRow, Database } from "./schema.ts";

type PlanKey = Omit<ChangeRow, "number" | "removed">;

/** Takes the next number for a change of this plan. */
export async function planChanged(
  tx: Kysely<Database>,
  limits: StoreLimits,
  key: PlanKey,
  removed?: "removed",
): Promise<number> {
  const { newest } = await tx
    .updateTable("plan_numbers")
    .set((row) => ({ newest: row("newest", "+", 1) }))
    .returning("newest")
    .executeTakeFirstOrThrow();
  const row = { number: newest, removed: removed === undefined ? 0 : 1 };
  await tx
    .insertInto("plan_changes")
    .values({ ...key, ...row })
    .onConflict((conflict) => conflict.columns(["tenant", "topic", "app", "function", "revision"]).doUpdateSet(row))
    .execute();
  await forget(tx, newest - limits.planChanges);
  return newest;
}

async function forget(tx: Kysely<Database>, until: number): Promise<void> {
  const gone = await tx
    .deleteFrom("plan_changes")
    .where("removed", "=", 1)
    .where("number", "<=", until)
    .returning("number")
    .execute();
  if (gone.length === 0) return;
  await tx
    .updateTable("plan_numbers")
    .set({ forgotten: Math.max(...gone.map((row) => row.number)) })
    .execute();
}

export async function plansNow(db: Kysely<Database>, topic: PlanTopic): Promise<PlanReading> {
  return db.transaction().execute(async (tx) => {
    const { newest } = await tx.selectFrom("plan_numbers").select("newest").executeTakeFirstOrThrow();
    const entries = await read(tx, topic, 0);
    return { number: newest, entries: entries.filter((entry) => entry.state !== undefined) };
  });
}

export async function plansSince(
  db: Kysely<Database>,
  topic: PlanTopic,
  after: number,
): Promise<PlanReading | undefined> {
  return db.transaction().execute(async (tx) => {
    const { newest, forgotten } = await tx.selectFrom("plan_numbers").selectAll().executeTakeFirstOrThrow();
    if (after < forgotten || after > newest) return undefined;
    return { number: newest, entries: await read(tx, topic, after) };
  });
}

async function read(tx: Kysely<Database>, topic: PlanTopic, after: number): Promise<PlanEntry[]> {
  const changed = await tx
    .selectFrom("plan_changes")
    .selectAll()
    .where("topic", "=", topic)
    .where("number", ">", after)
    .orderBy("number")
    .execute();
  const revisions = await changedRevisions(tx, topic, after);
  if (topic === "launches") {
    const networks = await changedNetworks(tx, after);
    return changed.map((row) => launchEntry(row, revisions, networks));
  }
  const functions = await changedFunctions(tx, after);
  return changed.map((row) => routeEntry(row, functions, revisions));
}

function launchEntry(
  row: ChangeRow,
  revisions: ReadonlyMap<string, RevisionState>,
  networks: ReadonlyMap<string, NetworkPolicy>,
): PlanEntry {
  const revision = revisionName(row.revision);
  const key = { tenant: row.tenant, app: row.app, function: row.function, revision };
  const state = revisions.get(revisionKey(key));
  if (state === undefined) return { topic: "launches", key };
  const network = networks.get(`${row.tenant}/${row.app}`)!;
  return { topic: "launches", key, state: { revision: state, network } };
}

function routeEntry(
  row: ChangeRow,
  functions: ReadonlyMap<string, FunctionState>,
  revisions: ReadonlyMap<string, RevisionState>,
): PlanEntry {
  const key = { tenant: row.tenant, app: row.app, function: row.function };
  const state = functions.get(functionKey(key));
  if (state === undefined) return { topic: "routes", key };
  const live = state.live.map((share) => revisions.get(revisionKey({ ...key, revision: share.revision }))!);
  return { topic: "routes", key, state: { function: state, revisions: live } };
}

/** By `tenant/app`, of the apps whose launches changed. */
async function changedNetworks(tx: Kysely<Database>, after: number): Promise<Map<string, NetworkPolicy>> {
  const rows = await tx
    .selectFrom("apps")
    .innerJoin("plan_changes as change", (join) =>
      join
        .onRef("change.tenant", "=", "apps.tenant")
        .onRef("change.app", "=", "apps.app")
        .on("change.topic", "=", "launches"),
    )
    .where("change.number", ">", after)
    .select(["apps.tenant", "apps.app", "apps.network_json"])
    .distinct()
    .execute();
  return new Map(rows.map((row) => [`${row.tenant}/${row.app}`, JSON.parse(row.network_json)]));
}

async function changedFunctions(tx: Kysely<Database>, after: number): Promise<Map<string, FunctionState>> {
  const rows = await tx
    .selectFrom("functions")
    .innerJoin("plan_changes as change", (join) =>
      join
        .onRef("change.tenant", "=", "functions.tenant")
        .onRef("change.app", "=", "functions.app")
        .onRef("change.function", "=", "functions.function")
        .on("change.topic", "=", "routes"),
    )
    .where("change.number", ">", after)
    .selectAll("functions")
    .execute();
  return new Map(rows.map((row) => [functionKey(row), functionOf(row)]));
}

/** In `launches` those that changed, in `routes` all of the functions that changed. */
async function changedRevisions(
  tx: Kysely<Database>,
  topic: PlanTopic,
  after: number,
): Promise<Map<string, RevisionState>> {
  const joined = tx
    .selectFrom("revisions")
    .innerJoin("plan_changes as change", (join) =>
      join
        .onRef("change.tenant", "=", "revisions.tenant")
        .onRef("change.app", "=", "revisions.app")
        .onRef("change.function", "=", "revisions.function")
        .on("change.topic", "=", topic),
    )
    .where("change.number", ">", after)
    .selectAll("revisions");
  const wanted = topic === "launches" ? joined.whereRef("change.revision", "=", "revisions.number") : joined;
  const rows = await wanted.execute();
  return new Map(rows.map(revisionOf).map((state) => [revisionKey(state), state]));
}
