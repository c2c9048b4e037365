/** One case of a function: what is sent, and what is expected of the answer. */
export interface Case {
  readonly function: string;
  readonly name: string;
  /** In the file of cases, from 1. */
  readonly line: number;
  /** Why it is not run. */
  readonly skip: string | undefined;
  readonly request: CaseRequest;
  readonly expect: Expectation;
}

export interface CaseRequest {
  readonly method: string | undefined;
  /** What follows the function's address. */
  readonly path: string;
  /** Instead of the function's address: what a trigger claims. */
  readonly url: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: CaseBody;
}

export type CaseBody =
  | { readonly kind: "none" }
  | { readonly kind: "json"; readonly value: unknown }
  | { readonly kind: "text"; readonly text: string }
  /** Relative to the file of cases. */
  | { readonly kind: "file"; readonly path: string };

/** What is undefined may be anything; without a status it must be below 400. */
export interface Expectation {
  readonly status: number | undefined;
  /** Code of the platform's error. */
  readonly error: string | undefined;
  readonly headers: Readonly<Record<string, string | RegExp>>;
  readonly json: { readonly value: unknown } | undefined;
  readonly contains: { readonly value: unknown } | undefined;
  readonly text: string | undefined;
  readonly matches: RegExp | undefined;
  readonly file: string | undefined;
  readonly sha256: string | undefined;
  /** Without a cold start. */
  readonly maxMs: number | undefined;
}

export const NO_REQUEST: CaseRequest = Object.freeze<CaseRequest>({
  method: undefined,
  path: "",
  url: undefined,
  headers: {},
  body: { kind: "none" },
});
