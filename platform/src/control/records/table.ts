import { DatabaseSync, type StatementSync } from "node:sqlite";
import { idFloor, idTime } from "#base/ids.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { RecordRow, RecordsItem } from "#contract/report/report.ts";
import { parseRows } from "./row.ts";

/**
 * No stored batch spans more time than this: a longer one (of invocations that ran long) is cut when it comes. So whatever
 * lies before an id is found without looking further than this behind it.
 */
const SPAN_MS = 60_000;
/** Text that one `list` reads at most, before it gives what it has found and where to go on. */
const SCAN_CHARACTERS = 32 * 1024 * 1024;
const TRIM_ROWS = 500;
const REMOVE_ROWS = 1_000;
const VERSION = 1;
/** Behind every id. */
const LAST = "~";

const SCHEMA = `
  CREATE TABLE batches (
    number INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    app TEXT NOT NULL,
    function TEXT NOT NULL,
    first TEXT NOT NULL,
    last TEXT NOT NULL,
    count INTEGER NOT NULL,
    storedMs INTEGER NOT NULL,
    rows TEXT NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX batches_by_time ON batches (tenant, app, function, last, first);
`;
const OF_FUNCTION = "tenant = ? AND app = ? AND function = ?";

export interface RecordLimits {
  readonly maximumAgeMs: number;
  readonly maximumBytes: number;
}

export interface RecordQuery {
  /** Only ids before this one. */
  readonly cursor?: string | undefined;
  readonly limit: number;
  readonly outcome?: string | undefined;
}

export interface RecordPage {
  readonly rows: readonly RecordRow[];
  readonly next?: string;
}

interface StoredBatch {
  readonly last: string;
  readonly rows: string;
}

/**
 * Records in a database file. A batch is one row, stored as it came, found by its first and last id.
 *
 * Owns: the file. Blocks while it works: it lives in a thread of its own (worker.ts).
 * Invariants: 1. a batch is there once, however often it is put; 2. none spans more than SPAN_MS. Rows stand in no
 * order within a batch, and batches of one function may overlap: readers sort.
 */
export class RecordTable {
  readonly #database: DatabaseSync;
  readonly #limits: RecordLimits;
  readonly #insert: StatementSync;
  readonly #page: StatementSync;
  readonly #around: StatementSync;
  readonly #remove: StatementSync;
  readonly #oldest: StatementSync;
  readonly #trim: StatementSync;
  readonly #used: StatementSync;

  constructor(path: string, limits: RecordLimits) {
    this.#limits = limits;
    this.#database = new DatabaseSync(path);
    this.#prepare(path);
    const prepare = (sql: string) => this.#database.prepare(sql);
    this.#insert = prepare(`INSERT OR IGNORE INTO batches (tenant, app, function, first, last, count, storedMs, rows)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`);
    this.#page = prepare(`SELECT last, rows FROM batches WHERE ${OF_FUNCTION} AND last < ? AND first < ?
      ORDER BY last DESC, first DESC`);
    this.#around = prepare(`SELECT rows FROM batches WHERE ${OF_FUNCTION} AND last >= ? AND last < ? AND first <= ?`);
    this.#remove = prepare(`DELETE FROM batches WHERE number IN
      (SELECT number FROM batches WHERE ${OF_FUNCTION} LIMIT ${REMOVE_ROWS})`);
    this.#oldest = prepare(`SELECT number, storedMs, octet_length(rows) AS bytes FROM batches
      ORDER BY number LIMIT ${TRIM_ROWS}`);
    this.#trim = prepare("DELETE FROM batches WHERE number <= ?");
    this.#used = prepare(`SELECT (page_count - freelist_count) * page_size AS bytes
      FROM pragma_page_count, pragma_freelist_count, pragma_page_size`);
  }

  /** Number of items refused because their rows are no list. */
  put(items: readonly RecordsItem[], nowMs: number): number {
    let refused = 0;
    this.#transaction(() => {
      for (const item of items) {
        if (idTime(item.last) - idTime(item.first) <= SPAN_MS) this.#store(item, nowMs);
        else if (!this.#storeInParts(item, nowMs)) refused++;
      }
    });
    return refused;
  }

  list({ tenant, app, function: name }: FunctionRef, { cursor, limit, outcome }: RecordQuery): RecordPage {
    const before = cursor ?? LAST;
    const reach = cursor === undefined ? LAST : idFloor(idTime(cursor) + SPAN_MS + 1);
    const found: RecordRow[] = [];
    let waiting: RecordRow[] = [];
    let scanned = 0;
    /** Rows behind `last` are in order now: all batches to come end there. One more than asked for tells that there is more. */
    const settle = (last: string) => {
      waiting.sort((a, b) => (a[0] < b[0] ? 1 : -1));
      const settled = waiting.findIndex(([id]) => id <= last);
      found.push(...waiting.splice(0, settled < 0 ? waiting.length : settled));
    };
    for (const batch of this.#page.iterate(tenant, app, name, reach, before) as Iterable<StoredBatch>) {
      settle(batch.last);
      if (found.length > limit) break;
      if (scanned > SCAN_CHARACTERS && batch.last < before) return { rows: found, next: `${batch.last}0` };
      scanned += batch.rows.length;
      if (outcome !== undefined && !batch.rows.includes(`"${outcome}"`)) continue;
      const rows = parseRows(batch.rows) ?? [];
      waiting = waiting.concat(rows.filter((row) => row[0] < before && (outcome === undefined || row[2] === outcome)));
    }
    if (found.length <= limit) settle("");
    return found.length > limit ? { rows: found.slice(0, limit), next: found[limit - 1]![0] } : { rows: found };
  }

  get({ tenant, app, function: name }: FunctionRef, id: string): RecordRow | undefined {
    const reach = idFloor(idTime(id) + SPAN_MS + 1);
    for (const batch of this.#around.iterate(tenant, app, name, id, reach, id) as Iterable<{ rows: string }>) {
      if (!batch.rows.includes(`"${id}"`)) continue;
      const row = parseRows(batch.rows)?.find((one) => one[0] === id);
      if (row !== undefined) return row;
    }
    return undefined;
  }

  /** A part of them; true when there may be more. */
  remove({ tenant, app, function: name }: FunctionRef): boolean {
    return this.#remove.run(tenant, app, name).changes === REMOVE_ROWS;
  }

  /** Removes what is too old or too much, oldest first, a part at a time; true when there may be more. */
  trim(nowMs: number): boolean {
    const { bytes } = this.#used.get() as { bytes: number };
    let excess = bytes - this.#limits.maximumBytes;
    let last: number | undefined;
    let count = 0;
    type Oldest = { number: number; storedMs: number; bytes: number };
    for (const batch of this.#oldest.iterate() as Iterable<Oldest>) {
      if (excess <= 0 && batch.storedMs >= nowMs - this.#limits.maximumAgeMs) break;
      last = batch.number;
      excess -= batch.bytes;
      count++;
    }
    if (last === undefined) return false;
    this.#trim.run(last);
    return count === TRIM_ROWS;
  }

  close(): void {
    this.#database.close();
  }

  #prepare(path: string): void {
    this.#database.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 67108864");
    const { user_version: version } = this.#database.prepare("PRAGMA user_version").get() as { user_version: number };
    if (version > VERSION)
      throw new Error(`${path} was made by a newer version (${version}); this one knows ${VERSION}`);
    if (version === 0) this.#transaction(() => this.#database.exec(`${SCHEMA} PRAGMA user_version = ${VERSION}`));
  }

  #store({ tenant, app, function: name, first, last, count, rows }: Omit<RecordsItem, "kind">, nowMs: number): void {
    this.#insert.run(tenant, app, name, first, last, count, nowMs, rows);
  }

  #storeInParts(item: RecordsItem, nowMs: number): boolean {
    const rows = parseRows(item.rows)?.sort((a, b) => (a[0] < b[0] ? -1 : 1));
    if (rows === undefined) return false;
    let start = 0;
    for (let index = 1; index <= rows.length; index++) {
      const first = rows[start]![0];
      if (index < rows.length && idTime(rows[index]![0]) - idTime(first) <= SPAN_MS) continue;
      const part = rows.slice(start, index);
      this.#store({ ...item, first, last: part.at(-1)![0], count: part.length, rows: JSON.stringify(part) }, nowMs);
      start = index;
    }
    return true;
  }

  #transaction(action: () => void): void {
    this.#database.exec("BEGIN IMMEDIATE");
    try {
      action();
      this.#database.exec("COMMIT");
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }
}
