import type { Context, FetchHandler, Handler, Init } from "../index.ts";

/** What is tested: a handler, an object with `fetch`, or a whole module (`import * as module from "./index.js"`), `init` included. */
// biome-ignore lint/suspicious/noExplicitAny: a handler of any input can be tested
export type Target = Handler<any, any> | FetchHandler | TestModule;

export interface TestModule {
  readonly default?: unknown;
  readonly handler?: unknown;
  readonly init?: Init;
}

/** What is told of the function and its invocation; each has a value that is made up. */
export interface TestFacts {
  readonly invocation?: string | undefined;
  readonly tenant?: string | undefined;
  readonly app?: string | undefined;
  readonly function?: string | undefined;
  readonly revision?: string | undefined;
  /** A W3C `traceparent`. */
  readonly trace?: string | undefined;
  /** 30,000 if absent, as on the platform. */
  readonly timeoutMs?: number | undefined;
  /** Aborted: the caller leaves. */
  readonly signal?: AbortSignal | undefined;
}

/** What is told of the request. */
export interface TestRequest {
  readonly method?: string | undefined;
  readonly path?: string | undefined;
  /** Without the question mark. */
  readonly query?: string | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly params?: Readonly<Record<string, string>> | undefined;
}

export interface ContextOptions extends TestFacts {
  /** `false`: the invocation did not come over HTTP. Absent: POST /. */
  readonly request?: TestRequest | false | undefined;
}

export interface InvokeOptions extends ContextOptions {
  /** Of the input; absent: what the input is (text, bytes, JSON). */
  readonly contentType?: string | undefined;
  /** For `init`: 10,000 if absent. */
  readonly initTimeoutMs?: number | undefined;
  /** Told each piece of a streamed answer when it comes. */
  readonly onPiece?: ((piece: Uint8Array) => void) | undefined;
}

/** A line that the function logged or printed. */
export interface LogEntry {
  readonly stream: "stdout" | "stderr";
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
}

/** A context to call a handler with directly. */
export interface TestContext extends Context {
  /** What was logged with it so far. */
  readonly logs: readonly LogEntry[];
}

/** What went wrong, as the answer's `Colibri-Error-Code` and the record of the invocation would say. */
export interface TestError {
  /** Of the platform's catalogue: `function-error`, `answer-invalid`, `bad-input`, `init-failed`, `function-timeout`, `client-closed`. */
  readonly code: string;
  readonly name: string;
  readonly message: string;
  readonly stack?: string | undefined;
}

/** What a caller of the deployed function would get. */
export interface TestAnswer {
  readonly invocation: string;
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
  /** The body as it was sent: one piece, or those of a stream. */
  readonly pieces: readonly Uint8Array[];
  /** Set when it failed: before the answer began (then the status tells too), or in the midst of it. */
  readonly error?: TestError | undefined;
  readonly logs: readonly LogEntry[];
  text(): string;
  /** The body's JSON. @throws SyntaxError */
  json<T = unknown>(): T;
}
