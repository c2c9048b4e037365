import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import { PlatformError } from "#contract/errors.ts";
import { MIGRATIONS, migrate, versionOf } from "./migrations.ts";

const NEWEST = MIGRATIONS.at(-1)!.version;

function schemaOf(database: DatabaseSync): unknown[] {
  return database.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").all();
}

test("migrations are numbered from 1 without gaps", () => {
  assert.deepEqual(
    MIGRATIONS.map((migration) => migration.version),
    MIGRATIONS.map((_, index) => index + 1),
  );
});

for (let version = 0; version <= NEWEST; version++) {
  test(`a store of version ${version} becomes one of today, the same as a new one`, () => {
    const database = new DatabaseSync(":memory:");
    migrate(database, MIGRATIONS.slice(0, version));
    assert.equal(versionOf(database), version);
    migrate(database);
    assert.equal(versionOf(database), NEWEST);
    const created = new DatabaseSync(":memory:");
    migrate(created);
    assert.deepEqual(schemaOf(database), schemaOf(created));
  });
}

test("a migration that fails leaves the version before, with its data", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database);
  database.exec("INSERT INTO meta VALUES ('id', 'kept')");
  const broken = { version: NEWEST + 1, sql: "DELETE FROM meta; CREATE TABLE apps (again TEXT)" };
  assert.throws(() => migrate(database, [...MIGRATIONS, broken]), /already exists/);
  assert.equal(versionOf(database), NEWEST);
  assert.equal(database.prepare("SELECT value FROM meta").get()?.value, "kept");
});

test("data goes through a later migration", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database);
  database.exec("INSERT INTO apps (tenant, app, created_at_ms, updated_at_ms) VALUES ('acme', 'shop', 1, 2)");
  const next = { version: NEWEST + 1, sql: "ALTER TABLE apps ADD COLUMN note TEXT NOT NULL DEFAULT 'none'" };
  migrate(database, [...MIGRATIONS, next]);
  const row = database.prepare("SELECT * FROM apps").get();
  const network_json = '{"kind":"internet"}';
  const expected = { tenant: "acme", app: "shop", created_at_ms: 1, updated_at_ms: 2, network_json, note: "none" };
  assert.deepEqual({ ...row }, expected);
});

test("apps that were there before networks could be chosen have the internet", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database, MIGRATIONS.slice(0, 2));
  database.exec("INSERT INTO apps VALUES ('acme', 'shop', 1, 2)");
  migrate(database);
  assert.equal(database.prepare("SELECT network_json FROM apps").get()?.network_json, '{"kind":"internet"}');
});

test("a store of a newer Colibri is refused and left alone", () => {
  const database = new DatabaseSync(":memory:");
  migrate(database, [...MIGRATIONS, { version: NEWEST + 1, sql: "CREATE TABLE later (a TEXT)" }]);
  assert.throws(
    () => migrate(database),
    (error) => error instanceof PlatformError && /newer Colibri/.test(error.message),
  );
  assert.equal(versionOf(database), NEWEST + 1);
});
