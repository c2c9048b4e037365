import {
  advanced,
  firstEvents,
  hasEnded,
  type Idempotency,
  type KnownDeployment,
  keptEvents,
  knownBy,
  type NewEvent,
  newDeployment,
  type StoreLimits,
} from "#ports/store/index.ts";
import type { Synchronous } from "./driver.ts";
import { changeOverrides } from "./overrides.ts";
import { below, compare, type DeploymentRow, key, type Tables } from "./schema.ts";

type Methods = Pick<
  Synchronous,
  | "knownDeployment"
  | "createDeployment"
  | "deployment"
  | "deployments"
  | "unfinishedDeployments"
  | "progress"
  | "events"
>;

export function createDeployments(tables: Tables, limits: StoreLimits): Methods {
  return {
    knownDeployment: (tenant, idempotency) => knownDeployment(tables, tenant, idempotency),
    createDeployment(tenant, wanted) {
      const known = wanted.idempotency && knownDeployment(tables, tenant, wanted.idempotency);
      if (known !== undefined) return known;
      const deployment = newDeployment(tenant, wanted);
      tables.deployments.set(key(tenant, wanted.id), { ...deployment, idempotency: wanted.idempotency });
      if (wanted.overrides !== undefined) changeOverrides(tables, tenant, wanted.app, wanted.overrides);
      forgetEnded(tables, limits, tenant, wanted.app);
      appendEvents(tables, limits, tenant, wanted.id, firstEvents(wanted));
      return { kind: "created", deployment };
    },
    deployment(tenant, id) {
      const found = tables.deployments.get(key(tenant, id));
      return found && withoutKey(found);
    },
    deployments(tenant, page) {
      const rows = below(tables.deployments, tenant).filter(
        (row) =>
          (page.app === undefined || row.app === page.app) && (page.before === undefined || row.id < page.before),
      );
      return rows
        .sort((a, b) => compare(b.id, a.id))
        .slice(0, page.limit)
        .map(withoutKey);
    },
    unfinishedDeployments(tenant) {
      const rows = below(tables.deployments, tenant).filter((row) => !hasEnded(row.state));
      return rows.sort((a, b) => compare(a.id, b.id)).map(withoutKey);
    },
    progress(tenant, id, progress) {
      const row = tables.deployments.get(key(tenant, id));
      const after = row && advanced(row, progress);
      if (after === undefined) return false;
      tables.deployments.set(key(tenant, id), { ...row, ...after });
      appendEvents(tables, limits, tenant, id, progress.events ?? []);
      return true;
    },
    events(tenant, id, after, limit) {
      const rows = tables.events.get(key(tenant, id)) ?? [];
      return rows.filter((row) => row.number > after).slice(0, limit);
    },
  };
}

function appendEvents(
  tables: Tables,
  limits: StoreLimits,
  tenant: string,
  id: string,
  events: readonly NewEvent[],
): void {
  const before = tables.events.get(key(tenant, id)) ?? [];
  const last = before.at(-1)?.number ?? 0;
  tables.events.set(key(tenant, id), [...before, ...keptEvents(events, last, limits.events)]);
}

export function withoutKey({ idempotency: _, ...deployment }: DeploymentRow): Omit<DeploymentRow, "idempotency"> {
  return deployment;
}

function knownDeployment(tables: Tables, tenant: string, asked: Idempotency): KnownDeployment | undefined {
  const known = below(tables.deployments, tenant).find((row) => row.idempotency?.key === asked.key);
  return known && knownBy(asked, withoutKey(known), known.idempotency?.request);
}

/** Keeps the newest ended deployments of an app. */
function forgetEnded(tables: Tables, limits: StoreLimits, tenant: string, app: string): void {
  const ended = below(tables.deployments, tenant).filter((row) => row.app === app && hasEnded(row.state));
  for (const row of ended.sort((a, b) => compare(b.id, a.id)).slice(limits.deployments)) {
    tables.deployments.delete(key(tenant, row.id));
    tables.events.delete(key(tenant, row.id));
  }
}
