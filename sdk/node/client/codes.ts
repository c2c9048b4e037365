// Made by tools/write-api-client.ts: change contract/api or contract/errors.ts, and run that.

/** Of the catalogue of errors: docs/errors.md. */
export type ErrorCode =
  | "bad-request"
  | "bad-input"
  | "unauthorized"
  | "forbidden"
  | "function-not-found"
  | "method-not-allowed"
  | "request-timeout"
  | "body-too-large"
  | "address-too-long"
  | "expectation-failed"
  | "headers-too-large"
  | "async-unavailable"
  | "not-ready"
  | "overloaded"
  | "concurrency-limit"
  | "no-capacity"
  | "queue-timeout"
  | "start-failed"
  | "load-failed"
  | "network-unenforced"
  | "init-failed"
  | "function-exited"
  | "out-of-memory"
  | "sandbox-lost"
  | "function-timeout"
  | "guest-violation"
  | "client-closed"
  | "function-error"
  | "answer-invalid"
  | "request-invalid"
  | "config-invalid"
  | "not-found"
  | "conflict"
  | "precondition-failed"
  | "media-type-unsupported"
  | "digest-mismatch"
  | "archive-unsafe"
  | "archive-too-large"
  | "build-failed"
  | "dependencies-failed"
  | "runtime-unknown"
  | "store-unavailable"
  | "blob-corrupt"
  | "unavailable"
  | "internal";

/** Codes of failures after which the same request may succeed. */
export const RETRIED: readonly string[] = [
  "request-timeout",
  "not-ready",
  "overloaded",
  "concurrency-limit",
  "no-capacity",
  "queue-timeout",
  "start-failed",
  "init-failed",
  "sandbox-lost",
  "client-closed",
  "digest-mismatch",
  "store-unavailable",
  "unavailable",
  "internal",
];
