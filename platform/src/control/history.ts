import type { Log } from "#base/log.ts";
import { type FunctionRef, functionKey } from "#contract/names.ts";
import type { FunctionLogs } from "./function-logs.ts";
import type { Records } from "./records.ts";

export type LogReader = Pick<FunctionLogs, "read" | "remove">;
export type RecordReader = Pick<Records, "list" | "get" | "remove">;

export interface HistoryDeps {
  readonly logs: LogReader;
  readonly records: RecordReader;
  readonly log: Log;
}

/** Removes logs and records of functions that were deleted. The functions are gone already, so failing to is told to the log only. */
export async function forgetHistory(deps: HistoryDeps, removed: readonly FunctionRef[]): Promise<void> {
  for (const ref of removed) {
    const outcomes = await Promise.allSettled([deps.logs.remove(ref), deps.records.remove(ref)]);
    for (const outcome of outcomes)
      if (outcome.status === "rejected")
        deps.log.warn("history of a deleted function stays", { function: functionKey(ref), error: outcome.reason });
  }
}
