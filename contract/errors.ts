/**
 * The closed catalogue of errors. Every failure that a caller, a user or an operator can see carries one of these codes; what
 * the code means, its HTTP status, whose fault it is, whether a retry can help and what to do next are fixed here and nowhere
 * else. `docs/errors.md` is generated from this table and a test keeps the two the same.
 */

/** Whose fault: the caller's request, the user's function, the platform, or nobody (capacity, time). */
export type Fault = "caller" | "user" | "platform" | "capacity";

export interface ErrorDefinition {
  /** HTTP status of an answer that carries the code. */
  readonly status: number;
  readonly fault: Fault;
  /** Whether the same request may succeed later without a change. */
  readonly retry: boolean;
  readonly meaning: string;
  readonly remedy: string;
}

function define(status: number, fault: Fault, retry: boolean, meaning: string, remedy: string): ErrorDefinition {
  return Object.freeze({ status, fault, retry, meaning, remedy });
}

export const ERRORS = Object.freeze({
  // The edge of the gateway.
  "bad-request": define(400, "caller", false, "The HTTP request is malformed.", "Send a well-formed HTTP/1.1 request."),
  "bad-input": define(
    400,
    "caller",
    false,
    "The body is not what its content type says (for example broken JSON).",
    "Send a body that matches the Content-Type header, or change the header.",
  ),
  unauthorized: define(401, "caller", false, "No valid token was sent.", "Send `Authorization: Bearer <token>`."),
  forbidden: define(
    403,
    "caller",
    false,
    "The token is valid but does not permit this.",
    "Use a token with the permission named.",
  ),
  "function-not-found": define(
    404,
    "caller",
    false,
    "No function answers at this address.",
    "Check the address; `npx colibri list` shows what is deployed.",
  ),
  "method-not-allowed": define(
    405,
    "caller",
    false,
    "The address exists, but not for this method.",
    "Use a method named in the Allow header.",
  ),
  "request-timeout": define(
    408,
    "caller",
    true,
    "The request did not arrive completely in time.",
    "Send the request faster, or in smaller pieces.",
  ),
  "body-too-large": define(
    413,
    "caller",
    false,
    "The body is larger than the function's limit.",
    "Send less, or raise `limits.body` of the function.",
  ),
  "address-too-long": define(
    414,
    "caller",
    false,
    "The request target is too long.",
    "Move data from the query into the body.",
  ),
  "expectation-failed": define(
    417,
    "caller",
    false,
    "The Expect header asks for something unknown.",
    "Leave Expect out, or send 100-continue.",
  ),
  "headers-too-large": define(
    431,
    "caller",
    false,
    "The request's headers are too large.",
    "Send fewer or smaller headers.",
  ),
  "async-unavailable": define(
    501,
    "platform",
    false,
    "Asynchronous invocation is not part of this version.",
    "Invoke synchronously: leave out `Prefer: respond-async` or `--async`.",
  ),
  "not-ready": define(503, "platform", true, "The gateway has not received its plan yet.", "Try again in a moment."),
  overloaded: define(
    503,
    "capacity",
    true,
    "The gateway is shedding load.",
    "Try again after the time in Retry-After.",
  ),

  // Acquiring a slot.
  "concurrency-limit": define(
    429,
    "capacity",
    true,
    "The function's queue is full at its maximum scale.",
    "Try again later, or raise `scaling.max` or `concurrency`.",
  ),
  "no-capacity": define(
    503,
    "capacity",
    true,
    "No host has room for another sandbox, and no idle one that could give way.",
    "Try again later, or add memory or hosts.",
  ),
  "queue-timeout": define(
    504,
    "capacity",
    true,
    "The request waited in the queue longer than `queue.timeout`.",
    "Try again later, or raise `scaling.max`, `concurrency` or `queue.timeout`.",
  ),
  "start-failed": define(
    503,
    "platform",
    true,
    "A sandbox could not be started.",
    "See the platform's log; `npx colibri doctor` checks the machine.",
  ),
  "load-failed": define(
    500,
    "user",
    false,
    "The function's code could not be loaded.",
    "Fix the error named in the message and deploy again.",
  ),
  "network-unenforced": define(
    501,
    "user",
    false,
    "The app's `network` asks for walls that this host's sandboxes do not have, so its code is not run there.",
    "Run the platform with container sandboxes (`npx colibri doctor` says what they need), or set `network: internet` and deploy again.",
  ),
  "init-failed": define(
    500,
    "user",
    true,
    "The function's `init` failed.",
    "Fix the error named in the message; the next invocation tries again.",
  ),

  // Forwarding to the guest.
  "function-exited": define(
    502,
    "user",
    false,
    "The function's process exited while the invocation ran.",
    "Do not call exit in a function; see its log for the cause.",
  ),
  "out-of-memory": define(
    502,
    "user",
    false,
    "The sandbox used more memory than the function's `memory`.",
    "Raise `memory`, or hold less in memory.",
  ),
  "sandbox-lost": define(
    502,
    "platform",
    true,
    "The sandbox was lost while the invocation ran.",
    "Try again if running the function twice does no harm.",
  ),
  "function-timeout": define(
    504,
    "user",
    false,
    "The function did not finish within its `timeout`.",
    "Raise `timeout`, or make the function faster.",
  ),
  "guest-violation": define(
    502,
    "user",
    false,
    "The sandbox broke the guest protocol and was stopped.",
    "The function's code interferes with its runtime; see its log.",
  ),
  "client-closed": define(
    499,
    "caller",
    true,
    "The client left before the answer was complete.",
    "Nothing: seen in records only.",
  ),

  // The user's code.
  "function-error": define(
    500,
    "user",
    false,
    "The function threw an error.",
    "See the message and the function's log.",
  ),
  "answer-invalid": define(
    500,
    "user",
    false,
    "The function's answer can't be sent.",
    "Return JSON-serialisable data, text, bytes, a stream or a Response.",
  ),

  // The control API.
  "request-invalid": define(
    400,
    "caller",
    false,
    "A field of the request is wrong.",
    "Correct the fields named in the details.",
  ),
  "config-invalid": define(
    400,
    "user",
    false,
    "colibri.yaml has mistakes.",
    "Correct the lines and keys named in the message.",
  ),
  "not-found": define(
    404,
    "caller",
    false,
    "The resource does not exist.",
    "Check its name; `npx colibri list` shows what is there.",
  ),
  conflict: define(
    409,
    "caller",
    false,
    "The resource is in a state that does not allow this.",
    "Read the resource again and decide anew.",
  ),
  "precondition-failed": define(
    412,
    "caller",
    false,
    "The resource has changed since it was read.",
    "Read it again and repeat the change with the new ETag.",
  ),
  "media-type-unsupported": define(
    415,
    "caller",
    false,
    "The body's content type is not one that this address takes.",
    "Send the content type named in the message.",
  ),
  "digest-mismatch": define(
    400,
    "caller",
    true,
    "The uploaded bytes do not have the digest named in the address.",
    "Upload again.",
  ),
  "archive-unsafe": define(
    400,
    "user",
    false,
    "The archive holds something that must not be unpacked.",
    "Remove the entry named in the message.",
  ),
  "archive-too-large": define(
    413,
    "user",
    false,
    "The archive, or what it unpacks to, is too large.",
    "Exclude files with `.colibriignore`.",
  ),
  "build-failed": define(
    422,
    "user",
    false,
    "The function's code could not be built.",
    "Fix the error named in the message and deploy again.",
  ),
  "dependencies-failed": define(
    422,
    "user",
    false,
    "The function's dependencies could not be installed.",
    "Correct what the message names; `npx colibri deploy --verbose` shows all that was printed while they were installed.",
  ),
  "runtime-unknown": define(422, "user", false, "No such runtime.", "Use one that `npx colibri doctor` lists."),
  "store-unavailable": define(
    503,
    "platform",
    true,
    "The store can't be used now.",
    "Try again; see the platform's log.",
  ),
  "blob-corrupt": define(
    500,
    "platform",
    false,
    "Stored bytes are no longer those that their digest names.",
    "Deploy the function again; check the disk of the blob store.",
  ),
  unavailable: define(503, "platform", true, "A part of the platform is away.", "Try again in a moment."),
  internal: define(
    500,
    "platform",
    true,
    "Something unexpected happened inside the platform.",
    "Report it with the invocation or request id.",
  ),
}) satisfies Record<string, ErrorDefinition>;

export type ErrorCode = keyof typeof ERRORS;

export function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && Object.hasOwn(ERRORS, value);
}

export interface PlatformErrorOptions {
  readonly cause?: unknown;
  /** Facts that help the reader; shown to callers, so never secrets or other tenants' data. */
  readonly details?: Readonly<Record<string, unknown>>;
}

/** The world failed, or somebody asked for what can't be had. The one exception that crosses module borders. */
export class PlatformError extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, options: PlatformErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "PlatformError";
    this.code = code;
    this.details = options.details ?? {};
  }
}

/** What crosses a process in place of an error. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
}

export function toFailure(error: unknown): Failure {
  if (error instanceof PlatformError) return { code: error.code, message: error.message };
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}
