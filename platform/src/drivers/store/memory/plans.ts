import type { PlanTopic } from "#contract/plan/plan.ts";
import type { PlanEntry, StoreLimits } from "#ports/store/index.ts";
import type { Synchronous } from "./driver.ts";
import { type ChangeRow, key, type Tables } from "./schema.ts";

export interface Plans {
  /** Takes the next number for a change of this plan. */
  changed(topic: PlanTopic, tenant: string, app: string, name: string, revision: string, removed?: "removed"): number;
  readonly methods: Pick<Synchronous, "plansNow" | "plansSince">;
}

export function createPlans(tables: Tables, limits: StoreLimits): Plans {
  const read = (topic: PlanTopic, wanted: (row: ChangeRow) => boolean) => {
    const rows = [...tables.changes.values()].filter((row) => row.topic === topic && wanted(row));
    rows.sort((a, b) => a.number - b.number);
    return { number: tables.number, entries: rows.map((row) => entryOf(tables, row)) };
  };
  return {
    changed(topic, tenant, app, name, revision, removed) {
      const number = ++tables.number;
      const row = { number, topic, tenant, app, function: name, revision, removed: removed !== undefined };
      tables.changes.set(key(topic, tenant, app, name, revision), row);
      forget(tables, number - limits.planChanges);
      return number;
    },
    methods: {
      plansNow: (topic) => read(topic, (row) => !row.removed),
      plansSince(topic, after) {
        if (after < tables.forgotten || after > tables.number) return undefined;
        return read(topic, (row) => row.number > after);
      },
    },
  };
}

function forget(tables: Tables, until: number): void {
  for (const [at, row] of tables.changes) {
    if (!row.removed || row.number > until) continue;
    tables.changes.delete(at);
    tables.forgotten = Math.max(tables.forgotten, row.number);
  }
}

function entryOf(tables: Tables, row: ChangeRow): PlanEntry {
  const { topic, tenant, app, function: name, revision } = row;
  const of = { tenant, app, function: name };
  if (topic === "launches") {
    const state = tables.revisions.get(key(tenant, app, name, revision));
    if (state === undefined) return { topic, key: { ...of, revision } };
    const { network } = tables.apps.get(key(tenant, app))!;
    return { topic, key: { ...of, revision }, state: { revision: state, network } };
  }
  const state = tables.functions.get(key(tenant, app, name));
  if (state === undefined) return { topic, key: of };
  const revisions = state.live.map((share) => tables.revisions.get(key(tenant, app, name, share.revision))!);
  return { topic, key: of, state: { function: state, revisions } };
}
