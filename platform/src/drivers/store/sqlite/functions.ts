import type { Kysely } from "kysely";
import type { Digest } from "#contract/digest.ts";
import type { FunctionRef } from "#contract/names.ts";
import { revisionNumber } from "#domain/function/function.ts";
import type { Claim } from "#domain/function/triggers.ts";
import {
  type AppState,
  type ClaimHolder,
  decideDeletion,
  digestsOf,
  heldClaim,
  type StoreLimits,
  type StoreMethods,
} from "#ports/store/index.ts";
import { forgetAppOverrides, forgetFunctionOverrides, overridesOf } from "./overrides.ts";
import { planChanged } from "./plans.ts";
import { deploymentOf, functionOf, holderOf, revisionOf } from "./rows.ts";
import type { AppRow, Database } from "./schema.ts";

type Methods = Pick<
  StoreMethods,
  | "tenants"
  | "app"
  | "apps"
  | "deleteApp"
  | "function"
  | "functions"
  | "deleteFunction"
  | "revision"
  | "revisions"
  | "overrides"
  | "claimed"
  | "referencedDigests"
>;

export function createFunctions(db: Kysely<Database>, limits: StoreLimits): Methods {
  return {
    async tenants() {
      const apps = db.selectFrom("apps").select("tenant");
      const rows = await apps.union(db.selectFrom("deployments").select("tenant")).orderBy("tenant").execute();
      return rows.map((row) => row.tenant);
    },
    async app(tenant, app) {
      const row = await selectApps(db, tenant).where("apps.app", "=", app).executeTakeFirst();
      return row && appOf(row);
    },
    async apps(tenant, page) {
      const wanted = selectApps(db, tenant).where("apps.app", ">", page.after ?? "");
      return (await wanted.orderBy("apps.app").limit(page.limit).execute()).map(appOf);
    },
    deleteApp: (tenant, app) => db.transaction().execute((tx) => deleteApp(tx, limits, tenant, app)),
    async function(tenant, app, name) {
      const row = await selectFunctions(db, tenant, app).where("function", "=", name).executeTakeFirst();
      return row && functionOf(row);
    },
    async functions(tenant, app, page) {
      const wanted = selectFunctions(db, tenant, app).where("function", ">", page.after ?? "");
      return (await wanted.orderBy("function").limit(page.limit).execute()).map(functionOf);
    },
    deleteFunction: (tenant, app, name, expected) =>
      db.transaction().execute((tx) => deleteFunction(tx, limits, { tenant, app, function: name }, expected)),
    async revision(tenant, app, name, revision) {
      const wanted = selectRevisions(db, tenant, app, name).where("number", "=", revisionNumber(revision));
      const row = await wanted.executeTakeFirst();
      return row && revisionOf(row);
    },
    async revisions(tenant, app, name, page) {
      const wanted = selectRevisions(db, tenant, app, name).where(
        "number",
        "<",
        page.before ?? Number.MAX_SAFE_INTEGER,
      );
      return (await wanted.orderBy("number", "desc").limit(page.limit).execute()).map(revisionOf);
    },
    overrides: (tenant, app) => overridesOf(db, { tenant, app }),
    async claimed(tenant, app, claims) {
      const holders = await holdersOf(db, claims);
      return holders
        .filter((held) => held.tenant !== tenant || held.app !== app)
        .map((held) => heldClaim(held, tenant));
    },
    referencedDigests: (tenant) => db.transaction().execute((tx) => referencedDigests(tx, tenant)),
  };
}

/** Claim by claim: one statement with all of them would be deeper than SQLite takes. */
export async function holdersOf(db: Kysely<Database>, claims: readonly Claim[]): Promise<ClaimHolder[]> {
  const holders: ClaimHolder[] = [];
  for (const claim of claims) {
    const wanted = db.selectFrom("claims").selectAll();
    const row = await wanted.where((where) => where.and({ ...claim })).executeTakeFirst();
    if (row !== undefined) holders.push(holderOf(row));
  }
  return holders;
}

/** The function with all that is its own, but for its revision counter. */
export async function removeFunction(tx: Kysely<Database>, limits: StoreLimits, of: FunctionRef): Promise<void> {
  await tx
    .deleteFrom("functions")
    .where((where) => where.and(of))
    .execute();
  await removeClaims(tx, of);
  await forgetFunctionOverrides(tx, of);
  await planChanged(tx, limits, { ...of, topic: "routes", revision: 0 }, "removed");
  const gone = await tx
    .deleteFrom("revisions")
    .where((where) => where.and(of))
    .returning("number")
    .execute();
  for (const { number } of gone)
    await planChanged(tx, limits, { ...of, topic: "launches", revision: number }, "removed");
}

export async function removeClaims(tx: Kysely<Database>, of: FunctionRef): Promise<void> {
  await tx
    .deleteFrom("claims")
    .where((where) => where.and(of))
    .execute();
}

async function deleteFunction(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionRef,
  expected: number | undefined,
): Promise<"deleted" | "absent" | "changed"> {
  const row = await tx
    .selectFrom("functions")
    .select("version")
    .where((where) => where.and(of))
    .executeTakeFirst();
  const decided = decideDeletion(row?.version, expected);
  if (decided === "deleted") await removeFunction(tx, limits, of);
  return decided;
}

async function deleteApp(tx: Kysely<Database>, limits: StoreLimits, tenant: string, app: string): Promise<boolean> {
  const gone = await tx
    .deleteFrom("apps")
    .where((where) => where.and({ tenant, app }))
    .returning("app")
    .executeTakeFirst();
  if (gone === undefined) return false;
  await forgetAppOverrides(tx, { tenant, app });
  const names = await selectFunctions(tx, tenant, app).clearSelect().select("function").execute();
  for (const { function: name } of names) await removeFunction(tx, limits, { tenant, app, function: name });
  return true;
}

async function referencedDigests(tx: Kysely<Database>, tenant: string): Promise<Digest[]> {
  const revisions = await tx
    .selectFrom("revisions")
    .select(["source", "bundle_digest"])
    .where("tenant", "=", tenant)
    .execute();
  const rows = await tx
    .selectFrom("deployments")
    .selectAll()
    .where("tenant", "=", tenant)
    .where("finished_at_ms", "is", null)
    .execute();
  const kept = revisions.flatMap((row) => [row.source, row.bundle_digest] as Digest[]);
  return [...new Set([...kept, ...digestsOf(rows.map(deploymentOf))])];
}

function selectApps(db: Kysely<Database>, tenant: string) {
  return db
    .selectFrom("apps")
    .selectAll("apps")
    .select((select) =>
      select
        .selectFrom("functions")
        .select((count) => count.fn.countAll<number>().as("functions"))
        .whereRef("functions.tenant", "=", "apps.tenant")
        .whereRef("functions.app", "=", "apps.app")
        .as("functions"),
    )
    .where("apps.tenant", "=", tenant);
}

function selectFunctions(db: Kysely<Database>, tenant: string, app: string) {
  return db.selectFrom("functions").selectAll().where("tenant", "=", tenant).where("app", "=", app);
}

export function selectRevisions(db: Kysely<Database>, tenant: string, app: string, name: string) {
  return db
    .selectFrom("revisions")
    .selectAll()
    .where((where) => where.and({ tenant, app, function: name }));
}

function appOf(row: AppRow & { functions: number | null }): AppState {
  return {
    tenant: row.tenant,
    app: row.app,
    network: JSON.parse(row.network_json),
    functions: row.functions ?? 0,
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  };
}
