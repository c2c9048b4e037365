import { PlatformError } from "#contract/errors.ts";
import {
  passOn,
  STORE_LIMITS,
  type Store,
  type StoreAnswer,
  type StoreArguments,
  type StoreLimits,
  type StoreMethod,
} from "#ports/store/index.ts";
import { createDeployments } from "./deployments.ts";
import { createFunctions } from "./functions.ts";
import { createPlans } from "./plans.ts";
import { createRelease } from "./release.ts";
import { emptyTables, type Tables } from "./schema.ts";

export interface MemoryStoreOptions {
  readonly id: string;
  readonly limits?: StoreLimits;
  /** Called before each method, which waits for it and fails with what it throws: to delay, fail or cut off. */
  readonly before?: (method: StoreMethod) => Promise<void> | void;
  /** What another driver left, as a disk would. */
  readonly tables?: Tables;
}

/**
 * The store in the process's own memory, for tests and for trying things out.
 * Owns its tables. Each method runs to its end without waiting in between, which makes it a transaction as long as it checks
 * before it changes; all values are copied on their way in and out.
 */
export function createMemoryStore(options: MemoryStoreOptions): Store {
  const limits = options.limits ?? STORE_LIMITS;
  const tables = options.tables ?? emptyTables();
  const plans = createPlans(tables, limits);
  const methods: Synchronous = {
    ...plans.methods,
    ...createFunctions(tables, plans),
    ...createDeployments(tables, limits),
    ...createRelease(tables, limits, plans),
    identity: () => ({ id: options.id, number: tables.number }),
  };
  let opened = false;
  const call = async <M extends StoreMethod>(method: M, args: StoreArguments<M>): Promise<StoreAnswer<M>> => {
    if (!opened) throw unavailable("The store is not open.");
    await options.before?.(method);
    return structuredClone(methods[method](...structuredClone(args)));
  };
  return {
    ...passOn(call),
    capabilities: { durable: false },
    async open(signal) {
      signal.throwIfAborted();
      opened = true;
    },
    async close() {
      opened = false;
    },
  };
}

/** The port's methods, without waiting. */
export type Synchronous = {
  [M in StoreMethod]: (...args: StoreArguments<M>) => StoreAnswer<M>;
};

function unavailable(message: string): PlatformError {
  return new PlatformError("store-unavailable", message);
}
