import type { Digest } from "#contract/digest.ts";
import { type FunctionState, type RevisionState, revisionName } from "#domain/function/function.ts";
import type { ClaimHolder, DeploymentState, StoredEvent } from "#ports/store/index.ts";
import type { ClaimRow, DeploymentRow, EventRow, FunctionRow, RevisionRow } from "./schema.ts";

/** Rows into what the port speaks of, and back where they change. */

export function functionOf(row: FunctionRow): FunctionState {
  return {
    tenant: row.tenant,
    app: row.app,
    function: row.function,
    version: row.version,
    live: JSON.parse(row.live_json),
    policy: JSON.parse(row.policy_json),
    createdAtMs: row.created_at_ms,
    updatedAtMs: row.updated_at_ms,
  };
}

export function functionRow(state: FunctionState): FunctionRow {
  return {
    tenant: state.tenant,
    app: state.app,
    function: state.function,
    version: state.version,
    live_json: JSON.stringify(state.live),
    policy_json: JSON.stringify(state.policy),
    created_at_ms: state.createdAtMs,
    updated_at_ms: state.updatedAtMs,
  };
}

export function revisionOf(row: RevisionRow): RevisionState {
  return {
    tenant: row.tenant,
    app: row.app,
    function: row.function,
    revision: revisionName(row.number),
    source: row.source as Digest,
    bundle: { digest: row.bundle_digest as Digest, bytes: row.bundle_bytes },
    config: JSON.parse(row.config_json),
    ...(row.declared_json === null ? {} : { declared: JSON.parse(row.declared_json) }),
    createdAtMs: row.created_at_ms,
  };
}

export function deploymentOf(row: DeploymentRow): DeploymentState {
  return {
    tenant: row.tenant,
    id: row.id,
    app: row.app,
    state: row.state,
    attempts: row.attempts,
    request: JSON.parse(row.request_json),
    functions: JSON.parse(row.functions_json),
    warnings: JSON.parse(row.warnings_json),
    createdAtMs: row.created_at_ms,
    ...(row.finished_at_ms === null ? {} : { finishedAtMs: row.finished_at_ms }),
  };
}

/** What of a deployment changes on its way. */
export function courseOf(
  state: DeploymentState,
): Pick<DeploymentRow, "state" | "attempts" | "functions_json" | "finished_at_ms"> {
  return {
    state: state.state,
    attempts: state.attempts,
    functions_json: JSON.stringify(state.functions),
    finished_at_ms: state.finishedAtMs ?? null,
  };
}

export function eventOf(row: EventRow): StoredEvent {
  const of = row.function === null ? {} : { function: row.function };
  return { number: row.number, atMs: row.at_ms, kind: row.kind, ...of, text: row.text };
}

export function holderOf({ method, host, path, ...of }: ClaimRow): ClaimHolder {
  return { ...of, claim: { method, host, path } };
}
