import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
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
import { errorOf, type FromWorker, failureOf, type ToWorker, type WorkerOptions } from "./protocol.ts";

export interface SqliteStoreDeps {
  /** The worker ended unasked, which is a bug or a broken machine: whoever owns the process ends it, to be restarted. */
  readonly onLost: (error: Error) => void;
}

export interface SqliteStoreOptions {
  /** The database's file; its folder is made. */
  readonly path: string;
  /** Becomes the store's id if it is new. */
  readonly id: string;
  readonly limits?: StoreLimits;
}

export function createSqliteStore(deps: SqliteStoreDeps, options: SqliteStoreOptions): Store {
  const driver = new SqliteDriver(deps, options);
  return {
    ...passOn((method, args) => driver.call(method, args)),
    capabilities: { durable: true },
    open: (signal) => driver.open(signal),
    close: () => driver.close(),
  };
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * Owns the worker thread and the calls it has not answered. The database is the worker's.
 * Invariant: every call is settled, by its answer or by the worker's end.
 */
class SqliteDriver {
  readonly #deps: SqliteStoreDeps;
  readonly #options: SqliteStoreOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #closing: Promise<void> | undefined;
  #calls = 0;

  constructor(deps: SqliteStoreDeps, options: SqliteStoreOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { path, id, limits = STORE_LIMITS } = this.#options;
    await makeFolder(dirname(path));
    const workerData: WorkerOptions = { path, id, limits };
    const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData, name: "store" });
    const [first] = (await once(worker, "message", { signal }).catch(async (error) => {
      await worker.terminate();
      throw error;
    })) as [FromWorker];
    if (first.kind === "unusable") throw errorOf(first.failure);
    worker.on("message", (message: FromWorker) => this.#settle(message));
    worker.on("error", (error) => this.#lose(error));
    worker.on("exit", () => this.#lose(new Error("The store's worker thread ended.")));
    this.#worker = worker;
  }

  call<M extends StoreMethod>(method: M, args: StoreArguments<M>): Promise<StoreAnswer<M>> {
    const worker = this.#worker;
    if (worker === undefined || this.#closing !== undefined)
      return Promise.reject(new PlatformError("store-unavailable", "The store is not open."));
    const call = ++this.#calls;
    return new Promise((resolve, reject) => {
      // The worker answers with what its method of that name gave.
      this.#waiting.set(call, { resolve: (value) => resolve(value as StoreAnswer<M>), reject });
      worker.postMessage({ kind: "call", call, method, args } satisfies ToWorker);
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    if (worker === undefined) return;
    const exit = once(worker, "exit");
    worker.postMessage({ kind: "close" } satisfies ToWorker);
    await exit;
  }

  #settle(message: FromWorker): void {
    if (message.kind !== "answer" && message.kind !== "failed") return;
    const waiting = this.#waiting.get(message.call);
    this.#waiting.delete(message.call);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(errorOf(message.failure));
  }

  #lose(error: Error): void {
    if (this.#worker === undefined) return;
    this.#worker = undefined;
    const failure = new PlatformError("store-unavailable", "The store's worker thread ended.", { cause: error });
    for (const waiting of this.#waiting.values()) waiting.reject(failure);
    this.#waiting.clear();
    if (this.#closing === undefined) this.#deps.onLost(error);
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw errorOf(failureOf(error, `make its folder ${path}`));
  }
}
