import type { PlanTopic } from "#contract/plan/plan.ts";
import type { DeploymentPhase } from "#ports/store/index.ts";

/** Tables as Kysely types them; what they mean is in `migrations.ts`. Columns named `…_json` hold JSON text. */
export interface Database {
  meta: { name: string; value: string };
  plan_numbers: { newest: number; forgotten: number };
  apps: AppRow;
  functions: FunctionRow;
  revision_counters: { tenant: string; app: string; function: string; last: number };
  revisions: RevisionRow;
  claims: ClaimRow;
  deployments: DeploymentRow;
  deployment_events: EventRow;
  plan_changes: ChangeRow;
  overrides: { tenant: string; app: string; overrides_json: string };
}

export interface AppRow {
  tenant: string;
  app: string;
  network_json: string;
  created_at_ms: number;
  updated_at_ms: number;
}

export interface FunctionRow {
  tenant: string;
  app: string;
  function: string;
  version: number;
  live_json: string;
  policy_json: string;
  created_at_ms: number;
  updated_at_ms: number;
}

export interface RevisionRow {
  tenant: string;
  app: string;
  function: string;
  number: number;
  source: string;
  bundle_digest: string;
  bundle_bytes: number;
  config_json: string;
  declared_json: string | null;
  created_at_ms: number;
}

export interface ClaimRow {
  tenant: string;
  app: string;
  function: string;
  method: string;
  host: string;
  path: string;
}

export interface DeploymentRow {
  tenant: string;
  id: string;
  app: string;
  state: DeploymentPhase;
  attempts: number;
  request_json: string;
  functions_json: string;
  warnings_json: string;
  created_at_ms: number;
  finished_at_ms: number | null;
  idempotency_key: string | null;
  idempotency_request: string | null;
}

export interface EventRow {
  tenant: string;
  deployment: string;
  number: number;
  at_ms: number;
  kind: "state" | "step" | "output" | "end";
  function: string | null;
  text: string;
}

/** `revision` is 0 in topic `routes`. */
export interface ChangeRow {
  tenant: string;
  topic: PlanTopic;
  app: string;
  function: string;
  revision: number;
  number: number;
  removed: number;
}
