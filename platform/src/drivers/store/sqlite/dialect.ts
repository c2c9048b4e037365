import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { Kysely, SqliteDialect } from "kysely";
import type { Database } from "./schema.ts";

const CACHED_STATEMENTS = 256;
const ROLLBACK = "rollback";
const NOTHING = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

/** Kysely over an open `node:sqlite` database. Queries run one at a time on its one connection; closing is the caller's. */
export function createQueries(database: DatabaseSync): Kysely<Database> {
  return new Kysely<Database>({ dialect: new SqliteDialect({ database: adapt(database) }) });
}

/** What Kysely's dialect for SQLite expects of a database, with compiled statements kept for the next time. */
function adapt(database: DatabaseSync) {
  const cache = new Map<string, ReturnType<typeof adaptStatement>>();
  return {
    close: () => cache.clear(),
    prepare(sql: string) {
      // A disk that is full ends a transaction by itself: to end it again would fail, and hide why.
      if (sql === ROLLBACK && !database.isTransaction) return NOTHING;
      const known = cache.get(sql);
      if (known !== undefined) return known;
      const statement = adaptStatement(database.prepare(sql));
      if (cache.size >= CACHED_STATEMENTS) cache.delete(cache.keys().next().value!);
      cache.set(sql, statement);
      return statement;
    },
  };
}

function adaptStatement(statement: StatementSync) {
  return {
    reader: statement.columns().length > 0,
    all: (parameters: readonly unknown[]) => statement.all(...(parameters as SQLInputValue[])),
    run: (parameters: readonly unknown[]) => statement.run(...(parameters as SQLInputValue[])),
    iterate: (parameters: readonly unknown[]) => statement.iterate(...(parameters as SQLInputValue[])),
  };
}
