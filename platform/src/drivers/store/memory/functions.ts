import { claimKey } from "#contract/config/triggers.ts";
import { revisionNumber } from "#domain/function/function.ts";
import { type AppState, decideDeletion, digestsOf, heldClaim, type NamePage } from "#ports/store/index.ts";
import type { Synchronous } from "./driver.ts";
import { forgetFunctionOverrides, overridesOf } from "./overrides.ts";
import type { Plans } from "./plans.ts";
import { below, compare, key, type Tables } from "./schema.ts";

type Methods = Pick<
  Synchronous,
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

export function createFunctions(tables: Tables, plans: Plans): Methods {
  const withCount = (app: Omit<AppState, "functions">): AppState => ({
    ...app,
    functions: below(tables.functions, app.tenant, app.app).length,
  });
  return {
    tenants: () => [...new Set([...tables.apps.keys(), ...tables.deployments.keys()].map(tenantOf))].sort(),
    app(tenant, app) {
      const found = tables.apps.get(key(tenant, app));
      return found && withCount(found);
    },
    apps: (tenant, page) => paged(below(tables.apps, tenant), (row) => row.app, page).map(withCount),
    deleteApp(tenant, app) {
      if (!tables.apps.delete(key(tenant, app))) return false;
      tables.overrides.delete(key(tenant, app));
      for (const found of below(tables.functions, tenant, app))
        removeFunction(tables, plans, tenant, app, found.function);
      return true;
    },
    function: (tenant, app, name) => tables.functions.get(key(tenant, app, name)),
    functions: (tenant, app, page) => paged(below(tables.functions, tenant, app), (row) => row.function, page),
    deleteFunction(tenant, app, name, expected) {
      const decided = decideDeletion(tables.functions.get(key(tenant, app, name))?.version, expected);
      if (decided === "deleted") removeFunction(tables, plans, tenant, app, name);
      return decided;
    },
    revision: (tenant, app, name, revision) => tables.revisions.get(key(tenant, app, name, revision)),
    revisions(tenant, app, name, page) {
      const found = below(tables.revisions, tenant, app, name).sort(newestFirst);
      const before = page.before ?? Number.POSITIVE_INFINITY;
      return found.filter((row) => revisionNumber(row.revision) < before).slice(0, page.limit);
    },
    overrides: (tenant, app) => overridesOf(tables, tenant, app),
    claimed: (tenant, app, claims) =>
      claims.flatMap((claim) => {
        const row = tables.claims.get(claimKey(claim));
        return row === undefined || (row.tenant === tenant && row.app === app) ? [] : [heldClaim(row, tenant)];
      }),
    referencedDigests(tenant) {
      const revisions = below(tables.revisions, tenant).flatMap((row) => [row.source, row.bundle.digest]);
      const jobs = below(tables.deployments, tenant).filter((row) => row.finishedAtMs === undefined);
      return [...new Set([...revisions, ...digestsOf(jobs)])];
    },
  };
}

export function newestFirst(a: { revision: string }, b: { revision: string }): number {
  return revisionNumber(b.revision) - revisionNumber(a.revision);
}

/** The function with all that is its own, but for its revision counter. */
export function removeFunction(tables: Tables, plans: Plans, tenant: string, app: string, name: string): void {
  tables.functions.delete(key(tenant, app, name));
  removeClaims(tables, tenant, app, name);
  forgetFunctionOverrides(tables, tenant, app, name);
  plans.changed("routes", tenant, app, name, "", "removed");
  for (const { revision } of below(tables.revisions, tenant, app, name)) {
    tables.revisions.delete(key(tenant, app, name, revision));
    plans.changed("launches", tenant, app, name, revision, "removed");
  }
}

export function removeClaims(tables: Tables, tenant: string, app: string, name: string): void {
  for (const [at, row] of tables.claims)
    if (row.tenant === tenant && row.app === app && row.function === name) tables.claims.delete(at);
}

function tenantOf(at: string): string {
  return at.slice(0, at.indexOf("/"));
}

function paged<T>(rows: T[], nameOf: (row: T) => string, page: NamePage): T[] {
  const after = page.after ?? "";
  const wanted = rows.filter((row) => nameOf(row) > after);
  return wanted.sort((a, b) => compare(nameOf(a), nameOf(b))).slice(0, page.limit);
}
