/**
 * The report stream: gateways and agents → control. Batches are numbered and acknowledged; the sender keeps what is not
 * acknowledged in a bounded buffer and counts what it had to drop. Delivered at least once: control ignores a batch whose number
 * it has seen from the same instance and run.
 */
import type { ERRORS } from "../errors.ts";
import { guestLog } from "../guest/link.ts";
import { isId, isName } from "../names.ts";
import { anything, integer, list, matching, object, oneOf, optional, type TypeOf, tagged, text } from "../shape.ts";

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

const logsItem = object({
  ...functionRef,
  revision: text(16),
  sandbox: text(64),
  /** Who says it; without, the guest. */ from: optional(oneOf("guest", "platform")),
  log: guestLog,
});

/** Prometheus exposition text of one role, replaced by the next. */
const metersItem = object({ text: text(900_000) });

export const reportItem = tagged("kind", { records: recordsItem, logs: logsItem, meters: metersItem });
export type ReportItem = TypeOf<typeof reportItem>;

export type RecordsItem = Extract<ReportItem, { kind: "records" }>;
export type LogsItem = Extract<ReportItem, { kind: "logs" }>;

export const BATCH_ITEMS = 1_000;
/** Bytes of JSON in one batch at most, below a frame's limit. */
export const BATCH_BYTES = 1_000_000;

const hello = {
  request: object({ role: text(32), instance: text(128), run: text(64), pid: integer(0) }),
  /** The last batch of this run that is safe: the sender forgets up to here and sends the rest again, under their numbers. */
  answer: object({ acknowledged: integer() }),
};
const numbered = {
  /** Counts from 1 in each run. A number may be missing (the sender had to drop it), none comes out of order. */
  number: integer(1),
  /** Items this run had to drop so far. */
  dropped: optional(integer()),
};
const acknowledged = object({ acknowledged: integer() });

/** What a sender sends. */
export const reportRequests = Object.freeze({
  hello,
  batch: { request: object({ ...numbered, items: list(reportItem, BATCH_ITEMS) }), answer: acknowledged },
});
/** The same as control takes it: items are checked one by one, so that a malformed one harms no other. */
export const reportServed = Object.freeze({
  hello,
  batch: { request: object({ ...numbered, items: list(anything, BATCH_ITEMS) }), answer: acknowledged },
});
export const reportEvents = Object.freeze({});
