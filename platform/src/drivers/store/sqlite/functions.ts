import type { Kysely } from "kysely";
import type { Digest } from "#contract/digest.ts";
import { revisionNumber } from "#domain/function/function.ts";
import type { AppState, StoreLimits, StoreMethods } from "#ports/store/index.ts";
import { planChanged } from "./plans.ts";
import { deploymentOf, functionOf, heldClaimOf, revisionOf } from "./rows.ts";
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
    async claimed(tenant, app, claims) {
      if (claims.length === 0) return [];
      const rows = await db
        .selectFrom("claims")
        .selectAll()
        .where((where) => where.or(claims.map((claim) => where.and({ ...claim }))))
        .where((where) => where.not(where.and({ tenant, app })))
        .execute();
      return rows.map((row) => heldClaimOf(row, tenant));
    },
    referencedDigests: (tenant) => db.transaction().execute((tx) => referencedDigests(tx, tenant)),
  };
}

export interface FunctionKey {
  readonly tenant: string;
  readonly app: string;
  readonly function: string;
}

/** The function with all that is its own, but for its revision counter. */
export async function removeFunction(tx: Kysely<Database>, limits: StoreLimits, of: FunctionKey): Promise<void> {
  await tx
    .deleteFrom("functions")
    .where((where) => where.and(of))
    .execute();
  await removeClaims(tx, of);
  await planChanged(tx, limits, { ...of, topic: "routes", revision: 0 }, "removed");
  const gone = await tx
    .deleteFrom("revisions")
    .where((where) => where.and(of))
    .returning("number")
    .execute();
  for (const { number } of gone)
    await planChanged(tx, limits, { ...of, topic: "launches", revision: number }, "removed");
}

export async function removeClaims(tx: Kysely<Database>, of: FunctionKey): Promise<void> {
  await tx
    .deleteFrom("claims")
    .where((where) => where.and(of))
    .execute();
}

async function deleteFunction(
  tx: Kysely<Database>,
  limits: StoreLimits,
  of: FunctionKey,
  expected: number | undefined,
): Promise<"deleted" | "absent" | "changed"> {
  const row = await tx
    .selectFrom("functions")
    .select("version")
    .where((where) => where.and(of))
    .executeTakeFirst();
  if (row === undefined) return "absent";
  if (expected !== undefined && row.version !== expected) return "changed";
  await removeFunction(tx, limits, of);
  return "deleted";
}

async function deleteApp(tx: Kysely<Database>, limits: StoreLimits, tenant: string, app: string): Promise<boolean> {
  const gone = await tx
    .deleteFrom("apps")
    .where((where) => where.and({ tenant, app }))
    .returning("app")
    .executeTakeFirst();
  if (gone === undefined) return false;
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
  const jobs = rows.map(deploymentOf);
  const digests = [
    ...revisions.flatMap((row) => [row.source, row.bundle_digest]),
    ...jobs.flatMap((job) => Object.values(job.request.functions).map((wanted) => wanted.source)),
    ...jobs.flatMap((job) => job.functions.flatMap((entry) => entry.bundle?.digest ?? [])),
  ];
  return [...new Set(digests)] as Digest[];
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
    functions: row.functions ?? 0,
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  };
}
