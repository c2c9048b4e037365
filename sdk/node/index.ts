/**
 * What functions are given and give: types alone, so that a function which imports them carries nothing of this package.
 *
 *     import type { Handler } from "@colibri-functions/sdk";
 *
 *     const handler: Handler<{ name: string }> = ({ name }, context) => `Hello ${name}, from ${context.function}`;
 *     export default handler;
 */

/** Arguments as for `console.log`. */
export interface Logger {
  debug(...values: unknown[]): void;
  info(...values: unknown[]): void;
  warn(...values: unknown[]): void;
  error(...values: unknown[]): void;
}

/** The HTTP request behind an invocation. */
export interface RequestInfo {
  readonly method: string;
  /** Below the function's own address; "/" is that address itself. */
  readonly path: string;
  /** Values by name; a list where a name comes more than once. */
  readonly query: Readonly<Record<string, string | string[]>>;
  /** Values by lower-case name; several of one name are joined as HTTP says. */
  readonly headers: Readonly<Record<string, string>>;
  /** What the trigger's path names, such as `id` of `/thumb/{id}`. */
  readonly params: Readonly<Record<string, string>>;
}

/** What a handler is given beside its input. */
export interface Context extends InitContext {
  /** The invocation's id. */
  readonly invocation: string;
  /** Aborted when the caller has left or the deadline has passed: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
  /** The W3C `traceparent` that came with the invocation. */
  readonly trace: string | undefined;
  /** Undefined where the invocation did not come over HTTP. */
  readonly request: RequestInfo | undefined;
  toJSON(): object;
}

/** What `init` is given. */
export interface InitContext {
  readonly tenant: string;
  readonly app: string;
  readonly function: string;
  readonly revision: string;
  readonly deadline: Date;
  /** Milliseconds until the deadline, not below 0. */
  remaining(): number;
  readonly log: Logger;
  /** Aborted when the deadline has passed. */
  readonly signal: AbortSignal;
}

/**
 * What a handler may answer: nothing → 204; text → text/plain; bytes (a view or an ArrayBuffer) → application/octet-stream; a `Response` →
 * itself; a stream or async iterable of text or bytes → streamed; any other value → JSON.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: handlers that return nothing are typed so
export type Answer = void | undefined | null | boolean | number | string | object;

/**
 * The default export of a handler's file. The input is decoded by the request's content type: JSON → its value, `text/*` → a string, anything
 * else → a Buffer, an empty body → undefined. What it throws is answered 500.
 */
export type Handler<Input = unknown, Output extends Answer = Answer> = (
  input: Input,
  context: Context,
) => Output | Promise<Output>;

/** The default export of a handler's file in the style of web standards. */
export interface FetchHandler {
  fetch(request: Request, context: Context): Response | Promise<Response>;
}

/** The export `init`: runs once in each sandbox, before its first invocation. */
export type Init = (context: InitContext) => unknown;
