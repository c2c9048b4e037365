import type { InvocationRecord, LogLine } from "#contract/api/resources.ts";
import type { FunctionRef } from "#contract/names.ts";

/** What the API asks of the function logs. */
export interface LogReader {
  /** Oldest first. With `follow` it ends only when the signal aborts. */
  read(ref: FunctionRef, query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
}

export interface LogQuery {
  readonly follow?: boolean | undefined;
  /** Of what is there, only so many last lines. */
  readonly tail?: number | undefined;
  /** RFC 3339. */
  readonly since?: string | undefined;
  readonly invocation?: string | undefined;
}

/** What the API asks of the records of invocations. */
export interface RecordReader {
  /** Newest first. `cursor` is the `next` of the page before. */
  list(ref: FunctionRef, page: RecordPage): Promise<{ items: InvocationRecord[]; next?: string | undefined }>;
  get(ref: FunctionRef, id: string): Promise<InvocationRecord | undefined>;
}

export interface RecordPage {
  readonly cursor?: string | undefined;
  readonly limit: number;
  readonly outcome?: string | undefined;
}
