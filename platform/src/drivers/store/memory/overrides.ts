import {
  changedOverrides,
  NO_OVERRIDES,
  type Overrides,
  type OverridesChange,
  withoutFunction,
} from "#domain/function/overrides.ts";
import { key, type Tables } from "./schema.ts";

export function overridesOf(tables: Tables, tenant: string, app: string): Overrides {
  return tables.overrides.get(key(tenant, app)) ?? NO_OVERRIDES;
}

/** Of an app that was deleted meanwhile nothing is kept. */
export function changeOverrides(tables: Tables, tenant: string, app: string, change: OverridesChange): void {
  if (!tables.apps.has(key(tenant, app))) return;
  tables.overrides.set(key(tenant, app), changedOverrides(overridesOf(tables, tenant, app), change));
}

export function forgetFunctionOverrides(tables: Tables, tenant: string, app: string, name: string): void {
  const before = tables.overrides.get(key(tenant, app));
  if (before !== undefined) tables.overrides.set(key(tenant, app), withoutFunction(before, name));
}
