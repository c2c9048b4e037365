import type { DatabaseSync } from "node:sqlite";
import { PlatformError } from "#contract/errors.ts";

/**
 * How a control.db of any age becomes today's. Numbered from 1 in order; a released one is never changed, the next is added.
 * Each runs in a transaction of its own together with the row that says so.
 */
export interface Migration {
  readonly version: number;
  readonly sql: string;
}

const FUNCTION_KEY = "tenant TEXT NOT NULL, app TEXT NOT NULL, function TEXT NOT NULL";

export const MIGRATIONS: readonly Migration[] = [
  {
    version: 1,
    sql: `
      CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

      -- One row. Changes up to the forgotten one may be missing from plan_changes.
      CREATE TABLE plan_numbers (newest INTEGER NOT NULL, forgotten INTEGER NOT NULL) STRICT;
      INSERT INTO plan_numbers VALUES (0, 0);

      CREATE TABLE apps (
        tenant TEXT NOT NULL, app TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, app)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE functions (
        ${FUNCTION_KEY}, version INTEGER NOT NULL,
        live_json TEXT NOT NULL, policy_json TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, app, function)
      ) STRICT, WITHOUT ROWID;

      -- Outlives the function, so that a revision's name is never given twice.
      CREATE TABLE revision_counters (
        ${FUNCTION_KEY}, last INTEGER NOT NULL,
        PRIMARY KEY (tenant, app, function)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE revisions (
        ${FUNCTION_KEY}, number INTEGER NOT NULL,
        source TEXT NOT NULL, bundle_digest TEXT NOT NULL, bundle_bytes INTEGER NOT NULL,
        config_json TEXT NOT NULL, created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (tenant, app, function, number)
      ) STRICT, WITHOUT ROWID;

      -- The functions' address is one for all tenants, so a claim is held once among all.
      CREATE TABLE claims (
        ${FUNCTION_KEY}, method TEXT NOT NULL, host TEXT NOT NULL, path TEXT NOT NULL,
        PRIMARY KEY (tenant, app, function, method, host, path)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX claims_held ON claims (method, host, path);

      CREATE TABLE deployments (
        tenant TEXT NOT NULL, id TEXT NOT NULL, app TEXT NOT NULL,
        state TEXT NOT NULL, attempts INTEGER NOT NULL,
        request_json TEXT NOT NULL, functions_json TEXT NOT NULL, warnings_json TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL, finished_at_ms INTEGER,
        idempotency_key TEXT, idempotency_request TEXT,
        PRIMARY KEY (tenant, id)
      ) STRICT;
      CREATE INDEX deployments_by_app ON deployments (tenant, app, id);
      CREATE INDEX deployments_unfinished ON deployments (tenant, id) WHERE finished_at_ms IS NULL;
      CREATE UNIQUE INDEX deployments_idempotency ON deployments (tenant, idempotency_key)
        WHERE idempotency_key IS NOT NULL;

      CREATE TABLE deployment_events (
        tenant TEXT NOT NULL, deployment TEXT NOT NULL, number INTEGER NOT NULL,
        at_ms INTEGER NOT NULL, kind TEXT NOT NULL, function TEXT, text TEXT NOT NULL,
        PRIMARY KEY (tenant, deployment, number)
      ) STRICT, WITHOUT ROWID;

      -- The last change of each plan. A removed one stays until it is forgotten.
      CREATE TABLE plan_changes (
        tenant TEXT NOT NULL, topic TEXT NOT NULL, app TEXT NOT NULL, function TEXT NOT NULL, revision INTEGER NOT NULL,
        number INTEGER NOT NULL, removed INTEGER NOT NULL,
        PRIMARY KEY (tenant, topic, app, function, revision)
      ) STRICT, WITHOUT ROWID;
      CREATE UNIQUE INDEX plan_changes_by_number ON plan_changes (number);
      CREATE INDEX plan_changes_removed ON plan_changes (number) WHERE removed = 1;
    `,
  },
  {
    version: 2,
    sql: `
      -- Variables set beside colibri.yaml, of an app and its functions; one row for all, since all are read together.
      CREATE TABLE overrides (
        tenant TEXT NOT NULL, app TEXT NOT NULL, overrides_json TEXT NOT NULL,
        PRIMARY KEY (tenant, app)
      ) STRICT, WITHOUT ROWID;

      -- The environment of colibri.yaml; null where the revision runs with just that.
      ALTER TABLE revisions ADD COLUMN declared_json TEXT;
    `,
  },
  {
    version: 3,
    sql: `
      -- What its sandboxes may reach. Before there was a choice they had the internet.
      ALTER TABLE apps ADD COLUMN network_json TEXT NOT NULL DEFAULT '{"kind":"internet"}';
    `,
  },
];

/** Brings the database up to date. @throws PlatformError when a newer version of Colibri has written it. */
export function migrate(database: DatabaseSync, migrations: readonly Migration[] = MIGRATIONS): void {
  database.exec("CREATE TABLE IF NOT EXISTS schema_versions (version INTEGER PRIMARY KEY) STRICT");
  const current = versionOf(database);
  const newest = migrations.at(-1)?.version ?? 0;
  if (current > newest) throw tooNew(current, newest);
  for (const migration of migrations) if (migration.version > current) apply(database, migration);
}

export function versionOf(database: DatabaseSync): number {
  const row = database.prepare("SELECT max(version) AS version FROM schema_versions").get();
  return Number(row?.version ?? 0);
}

function apply(database: DatabaseSync, migration: Migration): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec(migration.sql);
    database.prepare("INSERT INTO schema_versions (version) VALUES (?)").run(migration.version);
    database.exec("COMMIT");
  } catch (error) {
    database.exec("ROLLBACK");
    throw error;
  }
}

function tooNew(current: number, newest: number): PlatformError {
  return new PlatformError(
    "store-unavailable",
    `The store was written by a newer Colibri (schema ${current}; this one knows ${newest}). Run that version, or restore a backup made before.`,
  );
}
