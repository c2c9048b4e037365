import { ERRORS, type ErrorCode } from "./errors.ts";

export const PROBLEM_MEDIA_TYPE = "application/problem+json";

/** An error of the catalogue as the body of an answer (RFC 9457); gateway and control each add the id of what was asked. */
export interface ProblemDetails {
  /** `docs/errors.md#<code>` */
  readonly type: string;
  readonly title: string;
  /** HTTP status of the answer. */
  readonly status: number;
  readonly code: ErrorCode;
  readonly detail: string;
}

export function problemDetails(code: ErrorCode, detail: string): ProblemDetails {
  const { status, meaning } = ERRORS[code];
  return { type: `docs/errors.md#${code}`, title: meaning, status, code, detail };
}
