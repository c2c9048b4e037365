import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { InvocationRecord } from "#contract/api/resources.ts";
import { PlatformError } from "#contract/errors.ts";
import { type FunctionRef, isId } from "#contract/names.ts";
import type { RecordsItem } from "#contract/report/report.ts";
import { recordOf } from "./records/row.ts";
import type { RecordQuery } from "./records/table.ts";
import type { RecordsCall, RecordsCalls, RecordsResult, RecordsWorkerData } from "./records/worker.ts";

export type { RecordQuery } from "./records/table.ts";

const TRIM_EVERY_MS = 60_000;
/** An id, or just behind one. */
const CURSOR = /^[0-9A-HJKMNP-TV-Z]{26}0?$/;

export interface RecordsDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** The thread with the database ended unasked: a bug, after which nothing is kept any more. */
  readonly onLost: (error: Error) => void;
}

export interface RecordsOptions {
  /** The database file. */
  readonly path: string;
  /** Default 7 days. */
  readonly maximumAgeMs?: number;
  /** Of the database. Default 1 GiB. */
  readonly maximumBytes?: number;
}

/** Records of invocations. Every call fails with `store-unavailable` when the database does. */
export interface Records {
  open(signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Resolves when they are committed. Appending a batch again changes nothing. */
  append(items: readonly RecordsItem[]): Promise<void>;
  /** Newest first. A page may be short, even empty, and still have `next`. */
  list(ref: FunctionRef, query: RecordQuery): Promise<{ items: InvocationRecord[]; next?: string }>;
  get(ref: FunctionRef, id: string): Promise<InvocationRecord | undefined>;
  /** When a function is deleted. */
  remove(ref: FunctionRef): Promise<void>;
}

export function createRecords(deps: RecordsDeps, options: RecordsOptions): Records {
  return new DatabaseRecords(deps, options);
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

interface PendingPut extends Waiting {
  readonly items: readonly RecordsItem[];
}

/**
 * Owns: the thread with the database, the calls it has not answered, puts that wait to be committed together.
 * Does not own: what is in the database (records/table.ts).
 * Invariants: 1. one put is under way at a time, those that come meanwhile are committed together after it; 2. every call is
 * settled, by an answer or by the thread's end.
 */
class DatabaseRecords implements Records {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onLost: (error: Error) => void;
  readonly #options: RecordsOptions;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #number = 0;
  #pending: PendingPut[] = [];
  #putting = false;
  #timer: Timer | undefined;

  constructor(deps: RecordsDeps, options: RecordsOptions) {
    this.#clock = deps.clock;
    this.#log = deps.log;
    this.#onLost = deps.onLost;
    this.#options = options;
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const { path, maximumAgeMs = 7 * 86_400_000, maximumBytes = 1024 ** 3 } = this.#options;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    const data: RecordsWorkerData = { path, limits: { maximumAgeMs, maximumBytes } };
    this.#worker = new Worker(new URL("./records/worker.ts", import.meta.url), { workerData: data });
    this.#worker.on("message", (result: RecordsResult) => this.#settle(result));
    this.#worker.once("error", (error) => this.#lost(error instanceof Error ? error : new Error(String(error))));
    this.#worker.once("exit", (code) => this.#lost(new Error(`the thread of ${path} ended with ${code}`)));
    try {
      await this.#call("open");
    } catch (error) {
      await this.close();
      throw new PlatformError("store-unavailable", `${path} can't be opened: ${(error as Error).message}`, {
        cause: error,
      });
    }
    this.#trimLater();
  }

  async close(): Promise<void> {
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    const worker = this.#worker;
    if (worker === undefined) return;
    const closed = this.#call("close");
    this.#worker = undefined;
    try {
      await closed;
    } finally {
      await worker.terminate();
    }
  }

  append(items: readonly RecordsItem[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.push({ items, resolve, reject });
    if (!this.#putting) void this.#putPending();
    return promise as Promise<void>;
  }

  async list(ref: FunctionRef, query: RecordQuery): Promise<{ items: InvocationRecord[]; next?: string }> {
    if (query.cursor !== undefined && !CURSOR.test(query.cursor))
      throw new PlatformError("request-invalid", `cursor: expected \`next\` of another page, got ${query.cursor}`);
    const { rows, next } = await this.#call("list", ref, query);
    const items = rows.map((row) => recordOf(ref.function, row));
    return next === undefined ? { items } : { items, next };
  }

  async get(ref: FunctionRef, id: string): Promise<InvocationRecord | undefined> {
    const row = isId(id) ? await this.#call("get", ref, id) : undefined;
    return row && recordOf(ref.function, row);
  }

  async remove(ref: FunctionRef): Promise<void> {
    while (await this.#call("remove", ref));
  }

  async #putPending(): Promise<void> {
    this.#putting = true;
    while (this.#pending.length > 0) {
      const puts = this.#pending;
      this.#pending = [];
      const items = puts.length === 1 ? puts[0]!.items : puts.flatMap((put) => put.items);
      try {
        const refused = await this.#call("put", items, this.#clock.now());
        if (refused > 0) this.#log.warn("records refused: rows that are no JSON list", { items: refused });
        for (const { resolve } of puts) resolve(undefined);
      } catch (error) {
        for (const { reject } of puts) reject(error as Error);
      }
    }
    this.#putting = false;
  }

  #lost(error: Error): void {
    // Closing, or told already: then it is no surprise, but calls may wait all the same.
    const isUnasked = this.#worker !== undefined;
    this.#worker = undefined;
    if (this.#timer !== undefined) this.#clock.cancel(this.#timer);
    const failure = new PlatformError("store-unavailable", `records are lost: ${error.message}`, { cause: error });
    for (const { reject } of this.#waiting.values()) reject(failure);
    this.#waiting.clear();
    if (isUnasked) this.#onLost(error);
  }

  #trimLater(): void {
    this.#timer = this.#clock.after(TRIM_EVERY_MS, async () => {
      try {
        while (this.#worker !== undefined && (await this.#call("trim", this.#clock.now())));
      } catch (error) {
        this.#log.error("old records could not be removed", { error });
      }
      if (this.#worker !== undefined) this.#trimLater();
    });
  }

  #call<K extends keyof RecordsCalls>(
    name: K,
    ...args: Parameters<RecordsCalls[K]>
  ): Promise<Awaited<ReturnType<RecordsCalls[K]>>> {
    const worker = this.#worker;
    if (worker === undefined) return Promise.reject(new PlatformError("store-unavailable", "records are closed"));
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const call: RecordsCall = { number: ++this.#number, name, args };
    this.#waiting.set(call.number, { resolve, reject });
    worker.postMessage(call);
    return promise as Promise<Awaited<ReturnType<RecordsCalls[K]>>>;
  }

  #settle(result: RecordsResult): void {
    const waiting = this.#waiting.get(result.number);
    this.#waiting.delete(result.number);
    if (result.kind === "value") waiting?.resolve(result.value);
    else waiting?.reject(new PlatformError("store-unavailable", `records: ${result.message}`));
  }
}
