import type { InvocationRecord } from "#contract/api/resources.ts";
import { isId } from "#contract/names.ts";
import { RECORD_FIELDS, type RecordRow } from "#contract/report/report.ts";

const NUMBERS = new Set([3, 4, 5, 6, 7, 8, 9]);

/** Rows of a batch, as they came. What is not one is left out; undefined when the text is no list. */
export function parseRows(text: string): RecordRow[] | undefined {
  try {
    const rows: unknown = JSON.parse(text);
    return Array.isArray(rows) ? rows.filter(isRow) : undefined;
  } catch {
    return undefined;
  }
}

export function recordOf(functionName: string, row: RecordRow): InvocationRecord {
  const [id, revision, outcome, status, startedMs, waitMs, coldMs, runMs, bodyBytes, answerBytes, sandbox, trigger] =
    row;
  return {
    id,
    function: functionName,
    revision,
    outcome,
    status,
    startedAt: new Date(startedMs).toISOString(),
    waitMs,
    coldMs,
    runMs,
    bodyBytes,
    answerBytes,
    sandbox,
    trigger,
  };
}

function isRow(row: unknown): row is RecordRow {
  return (
    Array.isArray(row) &&
    row.length >= RECORD_FIELDS.length &&
    isId(row[0]) &&
    RECORD_FIELDS.every((_, index) => (NUMBERS.has(index) ? isNumber(row[index]) : typeof row[index] === "string"))
  );
}

/** One that a Date could hold, too. */
function isNumber(value: unknown): boolean {
  return typeof value === "number" && Math.abs(value) < 8.64e15;
}
