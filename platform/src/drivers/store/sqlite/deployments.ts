import type { Kysely } from "kysely";
import {
  advanced,
  type CreateOutcome,
  type DeploymentState,
  firstEvents,
  type Idempotency,
  type KnownDeployment,
  keptEvents,
  knownBy,
  type NewDeployment,
  type NewEvent,
  newDeployment,
  type Progress,
  type StoreLimits,
  type StoreMethods,
} from "#ports/store/index.ts";
import { changeOverrides } from "./overrides.ts";
import { courseOf, deploymentOf, eventOf } from "./rows.ts";
import type { Database, DeploymentRow } from "./schema.ts";

type Methods = Pick<
  StoreMethods,
  | "knownDeployment"
  | "createDeployment"
  | "deployment"
  | "deployments"
  | "unfinishedDeployments"
  | "progress"
  | "events"
>;

export function createDeployments(db: Kysely<Database>, limits: StoreLimits): Methods {
  return {
    knownDeployment: (tenant, idempotency) => knownDeployment(db, tenant, idempotency),
    createDeployment: (tenant, wanted) => db.transaction().execute((tx) => create(tx, limits, tenant, wanted)),
    async deployment(tenant, id) {
      const row = await rowOf(db, tenant, id);
      return row && deploymentOf(row);
    },
    async deployments(tenant, page) {
      let wanted = db.selectFrom("deployments").selectAll().where("tenant", "=", tenant);
      if (page.app !== undefined) wanted = wanted.where("app", "=", page.app);
      if (page.before !== undefined) wanted = wanted.where("id", "<", page.before);
      return (await wanted.orderBy("id", "desc").limit(page.limit).execute()).map(deploymentOf);
    },
    async unfinishedDeployments(tenant) {
      const wanted = db.selectFrom("deployments").selectAll().where("tenant", "=", tenant);
      return (await wanted.where("finished_at_ms", "is", null).orderBy("id").execute()).map(deploymentOf);
    },
    progress: (tenant, id, progress) => db.transaction().execute((tx) => advance(tx, limits, tenant, id, progress)),
    async events(tenant, id, after, limit) {
      const wanted = db
        .selectFrom("deployment_events")
        .selectAll()
        .where("tenant", "=", tenant)
        .where("deployment", "=", id)
        .where("number", ">", after);
      return (await wanted.orderBy("number").limit(limit).execute()).map(eventOf);
    },
  };
}

export function rowOf(db: Kysely<Database>, tenant: string, id: string): Promise<DeploymentRow | undefined> {
  return db
    .selectFrom("deployments")
    .selectAll()
    .where((where) => where.and({ tenant, id }))
    .executeTakeFirst();
}

async function appendEvents(
  tx: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  id: string,
  events: readonly NewEvent[],
): Promise<void> {
  const newest = await tx
    .selectFrom("deployment_events")
    .select((select) => select.fn.max("number").as("number"))
    .where((where) => where.and({ tenant, deployment: id }))
    .executeTakeFirst();
  // Row by row: one statement with all of them would have as many parameters as SQLite allows soon.
  for (const { number, atMs, kind, function: name, text } of keptEvents(events, newest?.number ?? 0, limits.events)) {
    const row = { tenant, deployment: id, number, at_ms: atMs, kind, function: name ?? null, text };
    await tx.insertInto("deployment_events").values(row).execute();
  }
}

async function create(
  tx: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  wanted: NewDeployment,
): Promise<CreateOutcome> {
  const known = wanted.idempotency && (await knownDeployment(tx, tenant, wanted.idempotency));
  if (known !== undefined) return known;
  const deployment = newDeployment(tenant, wanted);
  await tx.insertInto("deployments").values(newRow(deployment, wanted.idempotency)).execute();
  if (wanted.overrides !== undefined) await changeOverrides(tx, { tenant, app: wanted.app }, wanted.overrides);
  await forgetEnded(tx, limits, tenant, wanted.app);
  await appendEvents(tx, limits, tenant, wanted.id, firstEvents(wanted));
  return { kind: "created", deployment };
}

async function knownDeployment(
  db: Kysely<Database>,
  tenant: string,
  asked: Idempotency,
): Promise<KnownDeployment | undefined> {
  const row = await db
    .selectFrom("deployments")
    .selectAll()
    .where((where) => where.and({ tenant, idempotency_key: asked.key }))
    .executeTakeFirst();
  return row && knownBy(asked, deploymentOf(row), row.idempotency_request ?? undefined);
}

function newRow(deployment: DeploymentState, idempotency: Idempotency | undefined): DeploymentRow {
  return {
    tenant: deployment.tenant,
    id: deployment.id,
    app: deployment.app,
    ...courseOf(deployment),
    request_json: JSON.stringify(deployment.request),
    warnings_json: JSON.stringify(deployment.warnings),
    created_at_ms: deployment.createdAtMs,
    idempotency_key: idempotency?.key ?? null,
    idempotency_request: idempotency?.request ?? null,
  };
}

async function advance(
  tx: Kysely<Database>,
  limits: StoreLimits,
  tenant: string,
  id: string,
  progress: Progress,
): Promise<boolean> {
  const row = await rowOf(tx, tenant, id);
  const after = row && advanced(deploymentOf(row), progress);
  if (after === undefined) return false;
  await saveCourse(tx, after);
  await appendEvents(tx, limits, tenant, id, progress.events ?? []);
  return true;
}

export async function saveCourse(tx: Kysely<Database>, deployment: DeploymentState): Promise<void> {
  const { tenant, id } = deployment;
  await tx
    .updateTable("deployments")
    .set(courseOf(deployment))
    .where((where) => where.and({ tenant, id }))
    .execute();
}

/** Keeps the newest ended deployments of an app. */
async function forgetEnded(tx: Kysely<Database>, limits: StoreLimits, tenant: string, app: string): Promise<void> {
  const old = await tx
    .selectFrom("deployments")
    .select("id")
    .where((where) => where.and({ tenant, app }))
    .where("finished_at_ms", "is not", null)
    .orderBy("id", "desc")
    .limit(-1)
    .offset(limits.deployments)
    .execute();
  for (const { id } of old) {
    await tx
      .deleteFrom("deployments")
      .where((where) => where.and({ tenant, id }))
      .execute();
    await tx
      .deleteFrom("deployment_events")
      .where((where) => where.and({ tenant, deployment: id }))
      .execute();
  }
}
