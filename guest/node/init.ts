import type { RevisionRef } from "#contract/names.ts";
import type { Logger } from "./console.ts";
import { createInitContext, type InitContext } from "./context.ts";
import { type Scope, scopes } from "./scope.ts";

export interface InitCall {
  readonly revision: RevisionRef;
  readonly timeoutMs: number;
  readonly log: Logger;
  /** The scope it runs in; what is thrown where nobody catches is given to `reject`. */
  readonly scopeOf: (reject: (error: unknown) => void) => Scope;
}

/** Runs a function's `init`. @throws what it throws, and when it takes too long. */
export async function runInit(init: (context: InitContext) => unknown, call: InitCall): Promise<void> {
  const { revision, timeoutMs, log, scopeOf } = call;
  const abort = new AbortController();
  const context = createInitContext(revision, timeoutMs, abort.signal, log);
  let timer: NodeJS.Timeout | undefined;
  const ended = new Promise<unknown>((resolve, reject) => {
    timer = setTimeout(() => {
      abort.abort();
      reject(new Error(`init did not end within ${timeoutMs} ms`));
    }, timeoutMs);
    scopes.run(scopeOf(reject), async () => init(context)).then(resolve, reject);
  });
  try {
    await ended;
  } finally {
    clearTimeout(timer);
  }
}
