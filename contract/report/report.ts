/**
 * The report stream: gateways and agents → control. Batches are numbered and acknowledged; the sender keeps what is not
 * acknowledged in a bounded buffer and counts what it had to drop. Delivered at least once: control ignores a batch whose number
 * it has seen from the same instance and run.
 */
import type { ERRORS } from "../errors.ts";
import { guestLog } from "../guest/link.ts";
import { isId, isName } from "../names.ts";
import { integer, list, matching, object, optional, type TypeOf, tagged, text } from "../shape.ts";

const name = matching("a name", isName);
const functionRef = { tenant: name, app: name, function: name };

/**
 * A record tells one invocation. It travels and rests as a row with these fields, in batches. Rows of a batch are in the order
 * in which the invocations ended; `first` and `last` are the lowest and the highest id among them.
 * `[id, revision, outcome, status, startedMs, waitMs, coldMs, runMs, bodyBytes, answerBytes, sandbox, trigger]`
 * `outcome`: "ok" or an error code. Milliseconds with three decimals; `startedMs` since 1970, `coldMs` is part of `waitMs`.
 */
export type RecordRow = readonly [
  id: string,
  revision: string,
  outcome: "ok" | keyof typeof ERRORS,
  status: number,
  startedMs: number,
  waitMs: number,
  coldMs: number,
  runMs: number,
  bodyBytes: number,
  answerBytes: number,
  sandbox: string,
  trigger: string,
];
export const RECORD_FIELDS = [
  "id",
  "revision",
  "outcome",
  "status",
  "startedMs",
  "waitMs",
  "coldMs",
  "runMs",
  "bodyBytes",
  "answerBytes",
  "sandbox",
  "trigger",
] as const;

/** Body of a records item: JSON text of `RecordRow[]`. Control stores it as it came; readers parse it. */
const recordsItem = object({
  ...functionRef,
  first: matching("an id", isId),
  last: matching("an id", isId),
  count: integer(1),
  rows: text(900_000),
});

const logsItem = object({ ...functionRef, revision: text(16), sandbox: text(64), log: guestLog });

/** Prometheus exposition text of one role, replaced by the next. */
const metersItem = object({ text: text(900_000) });

export const reportItem = tagged("kind", { records: recordsItem, logs: logsItem, meters: metersItem });
export type ReportItem = TypeOf<typeof reportItem>;

export const reportRequests = Object.freeze({
  hello: {
    request: object({ role: text(32), instance: text(128), run: text(64), pid: integer(0) }),
    answer: object({ acknowledged: integer() }),
  },
  batch: {
    request: object({ number: integer(1), items: list(reportItem, 1_000), dropped: optional(integer()) }),
    answer: object({ acknowledged: integer() }),
  },
});
export const reportEvents = Object.freeze({});
