import { type ErrorCode, PlatformError } from "#contract/errors.ts";
import type { StoreLimits, StoreMethod } from "#ports/store/index.ts";

/** What passes between the driver and the worker thread in which the database is used. */

export interface WorkerOptions {
  readonly path: string;
  /** Given to a store that has none yet. */
  readonly id: string;
  readonly limits: StoreLimits;
}

export type ToWorker =
  | { readonly kind: "call"; readonly call: number; readonly method: StoreMethod; readonly args: readonly unknown[] }
  | { readonly kind: "close" };

export type FromWorker =
  | { readonly kind: "ready" }
  | { readonly kind: "unusable"; readonly failure: StoreFailure }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly call: number; readonly failure: StoreFailure };

/** SQLITE_FULL */
const FULL = 13;
const DISK_FULL = "its disk is full; make room there, nothing was changed";

function isFull(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === FULL;
}

/** Errors lose their class on the way between threads. */
export interface StoreFailure {
  readonly code: ErrorCode;
  readonly message: string;
}

export function failureOf(error: unknown, doing: string): StoreFailure {
  if (error instanceof PlatformError) return { code: error.code, message: error.message };
  const why = isFull(error) ? DISK_FULL : error instanceof Error ? error.message : String(error);
  return { code: "store-unavailable", message: `The store could not ${doing}: ${why}` };
}

export function errorOf(failure: StoreFailure): PlatformError {
  return new PlatformError(failure.code, failure.message);
}
