import type { Digest } from "#contract/digest.ts";
import { type FunctionState, type RevisionState, revisionName } from "#domain/function/function.ts";
import type { DeploymentState, HeldClaim, StoredEvent } from "#ports/store/index.ts";
import type { ClaimRow, DeploymentRow, EventRow, FunctionRow, RevisionRow } from "./schema.ts";

/** Rows into what the port speaks of. */

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

export function revisionOf(row: RevisionRow): RevisionState {
  return {
    tenant: row.tenant,
    app: row.app,
    function: row.function,
    revision: revisionName(row.number),
    source: row.source as Digest,
    bundle: { digest: row.bundle_digest as Digest, bytes: row.bundle_bytes },
    config: JSON.parse(row.config_json),
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

export function eventOf(row: EventRow): StoredEvent {
  const of = row.function === null ? {} : { function: row.function };
  return { number: row.number, atMs: row.at_ms, kind: row.kind, ...of, text: row.text };
}

/** Another tenant's holder is not named. */
export function heldClaimOf(row: ClaimRow, tenant: string): HeldClaim {
  const claim = { method: row.method, host: row.host, path: row.path };
  return row.tenant === tenant ? { claim, holder: { app: row.app, function: row.function } } : { claim };
}
