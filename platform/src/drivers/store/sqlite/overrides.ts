import type { Kysely } from "kysely";
import type { FunctionRef } from "#contract/names.ts";
import {
  changedOverrides,
  NO_OVERRIDES,
  type Overrides,
  type OverridesChange,
  withoutFunction,
} from "#domain/function/overrides.ts";
import type { Database } from "./schema.ts";

interface AppKey {
  readonly tenant: string;
  readonly app: string;
}

export async function overridesOf(db: Kysely<Database>, { tenant, app }: AppKey): Promise<Overrides> {
  const wanted = db.selectFrom("overrides").select("overrides_json");
  const row = await wanted.where((where) => where.and({ tenant, app })).executeTakeFirst();
  return row === undefined ? NO_OVERRIDES : JSON.parse(row.overrides_json);
}

/** Of an app that was deleted meanwhile nothing is kept. */
export async function changeOverrides(tx: Kysely<Database>, of: AppKey, change: OverridesChange): Promise<void> {
  const { tenant, app } = of;
  const found = tx.selectFrom("apps").select("app");
  const there = await found.where((where) => where.and({ tenant, app })).executeTakeFirst();
  if (there !== undefined) await save(tx, of, changedOverrides(await overridesOf(tx, of), change));
}

export async function forgetFunctionOverrides(tx: Kysely<Database>, of: FunctionRef): Promise<void> {
  const before = await overridesOf(tx, of);
  if (Object.hasOwn(before.functions, of.function)) await save(tx, of, withoutFunction(before, of.function));
}

export async function forgetAppOverrides(tx: Kysely<Database>, { tenant, app }: AppKey): Promise<void> {
  await tx
    .deleteFrom("overrides")
    .where((where) => where.and({ tenant, app }))
    .execute();
}

async function save(tx: Kysely<Database>, { tenant, app }: AppKey, overrides: Overrides): Promise<void> {
  const overrides_json = JSON.stringify(overrides);
  await tx
    .insertInto("overrides")
    .values({ tenant, app, overrides_json })
    .onConflict((conflict) => conflict.columns(["tenant", "app"]).doUpdateSet({ overrides_json }))
    .execute();
}
