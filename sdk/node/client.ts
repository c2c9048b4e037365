/** The control API for programs: one typed method for each operation. */
import type { IncomingMessage } from "node:http";
import { setTimeout as pause } from "node:timers/promises";
import { RETRIED } from "./client/codes.ts";
import { ApiError, ConnectionError } from "./client/errors.ts";
import { readLines } from "./client/lines.ts";
import { type Api, OPERATIONS } from "./client/operations.ts";
import { send, textOf } from "./client/request.ts";
import type { Problem } from "./client/resources.ts";
import type { Bytes, CallOptions, ClientOptions, Listing, OperationRow, Page } from "./client/types.ts";

export type { ErrorCode } from "./client/codes.ts";
export type { Api } from "./client/operations.ts";
export type * from "./client/resources.ts";
export type * from "./client/types.ts";
export { ApiError, ConnectionError };

const LOCAL = "http://127.0.0.1:8081";
const ATTEMPTS = 3;
const IDLE_MS = 30_000;
const FIRST_PAUSE_MS = 100;
/** Who is told to come again later than that is told so at once. */
const LONGEST_PAUSE_MS = 30_000;
const PAGE_ITEMS = 1_000;

type Args = Readonly<Record<string, unknown>>;

/**
 * Methods throw ApiError or ConnectionError. A request is sent again only where that is safe, and the catalogue of errors says that it
 * may help; a deployment gets an idempotency key, and so is safe.
 */
export function createClient(options: ClientOptions = {}): Api {
  const caller = new Caller(options);
  const operations = Object.entries(OPERATIONS) as [string, OperationRow][];
  const methods = operations.map(([name, row]) => [
    name,
    (args: Args = {}, call: CallOptions = {}) => caller.call(row, args, call),
  ]);
  return Object.fromEntries(methods) as unknown as Api;
}

class Caller {
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #options: ClientOptions;

  constructor(options: ClientOptions) {
    this.#url = (options.url ?? process.env.COLIBRI_URL ?? LOCAL).replace(/\/+$/, "");
    this.#token = options.token ?? process.env.COLIBRI_TOKEN;
    this.#options = options;
  }

  call(row: OperationRow, args: Args, call: CallOptions): unknown {
    if (row.answer === "lines") return this.#lines(row, args, call);
    return row.answer === "pages" ? this.#listing(row, args, call) : this.#ask(row, args, call);
  }

  async *#lines(row: OperationRow, args: Args, call: CallOptions): AsyncGenerator<unknown, void, void> {
    const answer = await this.#send(row, args, { idleMs: undefined, ...call });
    yield* readLines(answer);
  }

  #listing(row: OperationRow, args: Args, call: CallOptions): Listing<unknown> {
    const where = this.#url;
    const page = (more: Args) => this.#ask(row, { ...args, ...more }, call) as Promise<Page<unknown>>;
    return {
      page: () => page({}),
      async *[Symbol.asyncIterator]() {
        for (let cursor = args.cursor; ; ) {
          const { items, next } = await page({ cursor, limit: args.limit ?? PAGE_ITEMS });
          yield* items;
          if (next === undefined) return;
          // Without end, and no page of control's.
          if (next === cursor) throw new ApiError(200, undefined, where);
          cursor = next;
        }
      },
    };
  }

  async #ask(row: OperationRow, args: Args, call: CallOptions): Promise<unknown> {
    if (row.answer === "exists") return this.#exists(row, args, call);
    const answer = await this.#send(row, args, { ...call, idleMs: this.#idleMs(call) });
    const text = await textOf(answer).catch((error) => this.#lost(error, call));
    if (row.answer === "nothing") return undefined;
    if (row.answer === "text") return text;
    const value = parseAnswer(text);
    if (value === undefined || (row.answer === "pages" && !isPage(value)))
      throw new ApiError(answer.statusCode!, undefined, this.#url);
    return value;
  }

  async #exists(row: OperationRow, args: Args, call: CallOptions): Promise<boolean> {
    const answer = await this.#send(row, args, { ...call, idleMs: this.#idleMs(call) });
    answer.resume();
    return answer.statusCode !== 404;
  }

  async #send(row: OperationRow, args: Args, call: CallOptions): Promise<IncomingMessage> {
    const attempts = call.attempts ?? this.#options.attempts ?? ATTEMPTS;
    const headers = this.#headers(row, args, call);
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt(row, args, headers, call);
      } catch (error) {
        if (attempt >= attempts || !mayRepeat(row, args, headers, error)) throw error;
        // Not all who failed together come again together.
        const ownMs = FIRST_PAUSE_MS * 2 ** attempt * (0.5 + Math.random() / 2);
        const waitMs = error instanceof Refused ? (error.retryAfterMs ?? ownMs) : ownMs;
        if (waitMs > LONGEST_PAUSE_MS) throw error;
        await pause(waitMs, undefined, { signal: this.#signal(call) });
      }
    }
  }

  async #attempt(
    row: OperationRow,
    args: Args,
    headers: Record<string, string>,
    call: CallOptions,
  ): Promise<IncomingMessage> {
    const body = row.body === "json" ? Buffer.from(JSON.stringify(args.body)) : (args.body as Bytes | undefined);
    const { idleMs, onAnswer } = call;
    const url = this.#url + this.#target(row, args);
    const outgoing = { method: row.method, url, headers, body, signal: this.#signal(call), idleMs };
    const answer = await send(outgoing).catch((error) => this.#lost(error, call));
    const status = answer.statusCode!;
    // Of what may be there or not, a 404 is the answer.
    if (status >= 400 && !(row.answer === "exists" && status === 404)) {
      const problem = toProblem(await textOf(answer).catch((error) => this.#lost(error, call)));
      throw new Refused(status, problem, this.#url, answer.headers["retry-after"]);
    }
    onAnswer?.({ status, headers: answer.headers });
    return answer;
  }

  #idleMs({ idleMs = this.#options.idleMs ?? IDLE_MS }: CallOptions): number {
    return idleMs;
  }

  #signal({ signal }: CallOptions): AbortSignal | undefined {
    const signals = [signal, this.#options.signal].filter((one) => one !== undefined);
    return signals.length > 1 ? AbortSignal.any(signals) : signals[0];
  }

  /** @throws the reason of an abort as it is */
  #lost(error: unknown, call: CallOptions): never {
    this.#signal(call)?.throwIfAborted();
    throw new ConnectionError(this.#url, error);
  }

  #headers(row: OperationRow, args: Args, { bodyBytes }: CallOptions): Record<string, string> {
    const headers: Record<string, string> = { accept: "*/*" };
    if (this.#token) headers.authorization = `Bearer ${this.#token}`;
    if (row.body !== "none")
      headers["content-type"] = row.body === "json" ? "application/json" : "application/octet-stream";
    if (bodyBytes !== undefined) headers["content-length"] = String(bodyBytes);
    for (const [key, name] of Object.entries(row.headers))
      if (args[key] !== undefined) headers[name] = String(args[key]);
    if ("idempotencyKey" in row.headers) headers["idempotency-key"] ??= crypto.randomUUID();
    return headers;
  }

  #target({ path, query }: OperationRow, args: Args): string {
    const tenant = this.#options.tenant ?? "default";
    const filled = path.replace(/\{(\w+)\}/g, (_all, name: string) => {
      const value = args[name] ?? (name === "tenant" ? tenant : undefined);
      if (typeof value !== "string" || value === "") throw new TypeError(`${path} needs ${name}`);
      return encodeURIComponent(value);
    });
    const search = new URLSearchParams();
    for (const name of query) if (args[name] !== undefined) search.set(name, String(args[name]));
    return search.size === 0 ? filled : `${filled}?${search}`;
  }
}

/** An ApiError that may say when to come again. */
class Refused extends ApiError {
  readonly retryAfterMs: number | undefined;

  constructor(status: number, problem: Problem | undefined, where: string, retryAfter: string | undefined) {
    super(status, problem, where);
    this.retryAfterMs = retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) * 1_000 : undefined;
  }
}

/** Nothing is done twice: a request that may have been carried out is repeated only where that makes no difference. */
function mayRepeat(row: OperationRow, args: Args, headers: Record<string, string>, error: unknown): boolean {
  if (row.body === "bytes" && !(args.body instanceof Uint8Array)) return false;
  const isSafe = row.method === "GET" || row.method === "HEAD" || row.method === "PUT" || "idempotency-key" in headers;
  if (error instanceof ConnectionError) return isSafe;
  if (!(error instanceof ApiError) || error.code === undefined || !RETRIED.includes(error.code)) return false;
  // What control could not do it says with 503; after other failures it may be done.
  return isSafe || error.status === 503;
}

function toProblem(text: string): Problem | undefined {
  const problem = parseAnswer(text) as Problem | undefined;
  if (problem === undefined) return undefined;
  const { code, title, detail, errors = [] } = problem;
  if (![code, title, detail].every((field) => typeof field === "string")) return undefined;
  return Array.isArray(errors) && errors.every(isFieldError) ? problem : undefined;
}

function isFieldError(value: unknown): boolean {
  const { path, message } = (value ?? {}) as Record<string, unknown>;
  return typeof path === "string" && typeof message === "string";
}

/** Every answer of control's in JSON is an object; undefined for anything else. */
function parseAnswer(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isPage(value: object): boolean {
  const { items, next } = value as Record<string, unknown>;
  return Array.isArray(items) && (next === undefined || typeof next === "string");
}
