import { AsyncLocalStorage } from "node:async_hooks";

/** What user code runs for: an invocation, or loading or initialising the function. */
export interface Scope {
  /** The invocation's id, undefined outside of one. */
  readonly id: string | undefined;
  /** Something was thrown where nobody catches. False when the scope is over and can't fail any more. */
  fail(error: unknown): boolean;
}

/** Follows user code through its promises, timers and callbacks. */
export const scopes = new AsyncLocalStorage<Scope>();
