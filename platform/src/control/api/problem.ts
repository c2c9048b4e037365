import type { Problem } from "#contract/api/resources.ts";
import { type ErrorCode, PlatformError } from "#contract/errors.ts";
import { PROBLEM_MEDIA_TYPE, problemDetails } from "#contract/problem.ts";

export const PROBLEM_TYPE = `${PROBLEM_MEDIA_TYPE}; charset=utf-8`;

type FieldErrors = NonNullable<Problem["errors"]>;

export function problemOf(code: ErrorCode, detail: string, requestId: string, errors?: FieldErrors): Problem {
  const fields = errors === undefined || errors.length === 0 ? {} : { errors };
  return { ...problemDetails(code, detail), ...fields, requestId };
}

/** A request that does not match its schema. */
export class RequestInvalid extends Error {
  readonly errors: FieldErrors;

  constructor(errors: FieldErrors) {
    super(errors.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`)).join("; "));
    this.errors = errors;
  }
}

/** What Fastify says of requests that never reach a handler. */
const FASTIFY: Readonly<Record<string, { code: ErrorCode; detail?: string }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: { code: "media-type-unsupported", detail: "Send the body as application/json." },
  FST_ERR_CTP_BODY_TOO_LARGE: { code: "body-too-large", detail: "The body is larger than this address takes." },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    code: "bad-request",
    detail: "The body's length is not the one that Content-Length says.",
  },
  FST_ERR_BAD_URL: { code: "bad-request", detail: "The address is not well-formed: check its percent-encoding." },
};

/** Undefined: unexpected, so not the caller's to read. */
export function problemOfError(error: unknown, requestId: string): Problem | undefined {
  if (error instanceof RequestInvalid) return problemOf("request-invalid", error.message, requestId, error.errors);
  if (error instanceof PlatformError) return problemOfPlatformError(error, requestId);
  if (!(error instanceof Error)) return undefined;
  const { code, statusCode } = error as { code?: string; statusCode?: number };
  const known = code === undefined ? undefined : FASTIFY[code];
  if (known !== undefined) return problemOf(known.code, known.detail ?? error.message, requestId);
  if (error instanceof SyntaxError && statusCode === 400)
    return problemOf("bad-input", `The body is not JSON: ${error.message}`, requestId);
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return problemOf("bad-request", error.message, requestId);
  return undefined;
}

function problemOfPlatformError(error: PlatformError, requestId: string): Problem {
  const { errors } = error.details;
  return problemOf(error.code, error.message, requestId, Array.isArray(errors) ? (errors as FieldErrors) : undefined);
}
