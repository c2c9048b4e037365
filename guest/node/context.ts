import type { GuestInvoke } from "#contract/guest/link.ts";
import type { RevisionRef } from "#contract/names.ts";
import type { Logger } from "./console.ts";
import { RequestFacts } from "./request.ts";

/** Of performance.now(), as Date tells it. */
const CLOCK_ZERO_MS = Date.now() - performance.now();

/** What the context needs of its invocation. */
export interface Invoked {
  readonly head: GuestInvoke;
  /** When it arrived, by performance.now(). */
  readonly arrivedMs: number;
  readonly signal: AbortSignal;
}

/** What a handler is given beside its input. Everything is made when it is asked for: most handlers ask for little. */
export class Context {
  readonly #invoked: Invoked;
  readonly #log: Logger;
  #request: RequestFacts | undefined;

  constructor(invoked: Invoked, log: Logger) {
    this.#invoked = invoked;
    this.#log = log;
  }

  /** The invocation's id. */
  get invocation(): string {
    return this.#invoked.head.id;
  }

  get tenant(): string {
    return this.#invoked.head.tenant;
  }

  get app(): string {
    return this.#invoked.head.app;
  }

  get function(): string {
    return this.#invoked.head.function;
  }

  get revision(): string {
    return this.#invoked.head.revision;
  }

  get deadline(): Date {
    return new Date(CLOCK_ZERO_MS + this.#invoked.arrivedMs + this.#invoked.head.budgetMs);
  }

  /** Milliseconds until the deadline, not below 0. */
  remaining(): number {
    return Math.max(0, this.#invoked.arrivedMs + this.#invoked.head.budgetMs - performance.now());
  }

  get log(): Logger {
    return this.#log;
  }

  /** Aborted when the caller has left or the deadline has passed: nobody waits for the answer any more. */
  get signal(): AbortSignal {
    return this.#invoked.signal;
  }

  /** The W3C trace context that came with the invocation. */
  get trace(): string | undefined {
    return this.#invoked.head.trace;
  }

  /** Undefined where the invocation did not come over HTTP. */
  get request(): RequestFacts | undefined {
    const given = this.#invoked.head.request;
    if (given === undefined) return undefined;
    this.#request ??= new RequestFacts(given);
    return this.#request;
  }

  toJSON(): object {
    const { invocation, tenant, app, revision, deadline, trace, request } = this;
    return { invocation, tenant, app, function: this.function, revision, deadline, trace, request };
  }
}

/** What `init` is given. */
export interface InitContext extends RevisionRef {
  readonly deadline: Date;
  readonly log: Logger;
  readonly signal: AbortSignal;
  remaining(): number;
}

export function createInitContext(ref: RevisionRef, timeoutMs: number, signal: AbortSignal, log: Logger): InitContext {
  const end = performance.now() + timeoutMs;
  return {
    tenant: ref.tenant,
    app: ref.app,
    function: ref.function,
    revision: ref.revision,
    deadline: new Date(CLOCK_ZERO_MS + end),
    remaining: () => Math.max(0, end - performance.now()),
    log,
    signal,
  };
}
