/** The thread in which records.db is used: `node:sqlite` blocks. One message in, one out, in order. */
import { parentPort, workerData } from "node:worker_threads";
import { assert } from "#base/assert.ts";
import type { FunctionRef } from "#contract/names.ts";
import type { RecordsItem } from "#contract/report/report.ts";
import { type RecordLimits, type RecordQuery, RecordTable } from "./table.ts";

export interface RecordsWorkerData {
  readonly path: string;
  readonly limits: RecordLimits;
}

export interface RecordsCalls {
  open(): void;
  put(items: readonly RecordsItem[], nowMs: number): number;
  list(ref: FunctionRef, query: RecordQuery): ReturnType<RecordTable["list"]>;
  get(ref: FunctionRef, id: string): ReturnType<RecordTable["get"]>;
  remove(ref: FunctionRef): boolean;
  trim(nowMs: number): boolean;
  close(): void;
}

export interface RecordsCall {
  readonly number: number;
  readonly name: keyof RecordsCalls;
  readonly args: readonly unknown[];
}
export type RecordsResult = { readonly number: number } & (
  | { readonly kind: "value"; readonly value: unknown }
  | { readonly kind: "failed"; readonly message: string }
);

const port = parentPort;
assert(port !== null, "records/worker.ts runs in a worker thread");
let table: RecordTable | undefined;

function opened(): RecordTable {
  if (table === undefined) throw new Error("records.db is not open");
  return table;
}

const calls: RecordsCalls = {
  open() {
    const { path, limits } = workerData as RecordsWorkerData;
    table = new RecordTable(path, limits);
  },
  put(items, nowMs) {
    const refused = opened().put(items, nowMs);
    opened().trim(nowMs);
    return refused;
  },
  list: (ref, query) => opened().list(ref, query),
  get: (ref, id) => opened().get(ref, id),
  remove: (ref) => opened().remove(ref),
  trim: (nowMs) => opened().trim(nowMs),
  close() {
    table?.close();
    table = undefined;
  },
};

port.on("message", ({ number, name, args }: RecordsCall) => {
  let result: RecordsResult;
  try {
    result = { number, kind: "value", value: (calls[name] as (...all: readonly unknown[]) => unknown)(...args) };
  } catch (error) {
    result = { number, kind: "failed", message: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(result);
});
