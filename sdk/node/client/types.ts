/** What is uploaded. A stream is sent as it comes, and can't be sent again. */
export type Bytes = Uint8Array | AsyncIterable<Uint8Array>;

export interface ClientOptions {
  /** Address of the control API; absent: COLIBRI_URL, else http://127.0.0.1:8081. */
  readonly url?: string | undefined;
  /** Absent: COLIBRI_TOKEN. Empty: none. */
  readonly token?: string | undefined;
  /** Absent: `default`. */
  readonly tenant?: string | undefined;
  /** Aborted: everything under way ends. */
  readonly signal?: AbortSignal | undefined;
  /** How often a request is sent at most, where the first failures let hope for better: 3 if absent. */
  readonly attempts?: number | undefined;
  /** Longest time without a byte, but for streams of lines, which may be silent: 30,000 if absent. */
  readonly idleMs?: number | undefined;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  readonly attempts?: number | undefined;
  readonly idleMs?: number | undefined;
  /** Length of a body that is a stream, where it is known beforehand. Absent: it is sent in chunks. */
  readonly bodyBytes?: number | undefined;
  /** Told when an answer that is no failure begins. */
  readonly onAnswer?: ((answer: AnswerHead) => void) | undefined;
}

export interface AnswerHead {
  readonly status: number;
  /** By lower-case name: `etag`, `location`, `colibri-request-id`. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** `cursor` of the next page; absent on the last. */
  readonly next?: string;
}

/** Everything there is, page after page as it is asked for. */
export interface Listing<T> extends AsyncIterable<T> {
  /** One page: the first, or that of the `cursor` given. */
  page(): Promise<Page<T>>;
}

/** How an operation is asked for, and what it answers. */
export interface OperationRow {
  readonly method: string;
  /** With `{name}` for each part of `args` that belongs there. */
  readonly path: string;
  readonly query: readonly string[];
  /** Names of headers by their names in `args`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: "none" | "json" | "bytes";
  readonly answer: "json" | "pages" | "lines" | "text" | "exists" | "nothing";
}
