import type { PlanTopic } from "#contract/plan/plan.ts";
import type { FunctionState, RevisionState } from "#domain/function/function.ts";
import type { Overrides } from "#domain/function/overrides.ts";
import type { AppState, ClaimHolder, DeploymentState, Idempotency, StoredEvent } from "#ports/store/index.ts";

/** What the driver keeps, by the keys that the functions below make. */
export interface Tables {
  number: number;
  /** Changes up to this number may have been forgotten. */
  forgotten: number;
  readonly apps: Map<string, Omit<AppState, "functions">>;
  readonly functions: Map<string, FunctionState>;
  /** The last revision number given to a function; outlives it. */
  readonly counters: Map<string, number>;
  readonly revisions: Map<string, RevisionState>;
  readonly claims: Map<string, ClaimHolder>;
  readonly deployments: Map<string, DeploymentRow>;
  readonly events: Map<string, StoredEvent[]>;
  readonly changes: Map<string, ChangeRow>;
  readonly overrides: Map<string, Overrides>;
}

export interface DeploymentRow extends DeploymentState {
  readonly idempotency?: Idempotency | undefined;
}

/** The last change of a plan; without a revision in `routes`. */
export interface ChangeRow {
  readonly number: number;
  readonly topic: PlanTopic;
  readonly tenant: string;
  readonly app: string;
  readonly function: string;
  readonly revision: string;
  readonly removed: boolean;
}

export function emptyTables(): Tables {
  return {
    number: 0,
    forgotten: 0,
    apps: new Map(),
    functions: new Map(),
    counters: new Map(),
    revisions: new Map(),
    claims: new Map(),
    deployments: new Map(),
    events: new Map(),
    changes: new Map(),
    overrides: new Map(),
  };
}

/** Names have no slash, so joined ones stay distinct. */
export function key(...names: readonly string[]): string {
  return names.join("/");
}

/** Values whose key begins with these names. */
export function below<T>(table: ReadonlyMap<string, T>, ...names: readonly string[]): T[] {
  const prefix = `${key(...names)}/`;
  return [...table].filter(([at]) => at.startsWith(prefix)).map(([, value]) => value);
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
