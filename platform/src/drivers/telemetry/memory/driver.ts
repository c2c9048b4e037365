import type { ReportItem } from "#contract/report/report.ts";
import type { Telemetry } from "#ports/telemetry/index.ts";

/** Telemetry that a test or simulation reads. */
export interface MemoryTelemetry extends Telemetry {
  /** What was received, oldest first; meters only the newest. */
  readonly items: readonly ReportItem[];
  /** While away, items wait, within the limit. */
  away(isAway: boolean): void;
}

export interface MemoryTelemetryOptions {
  /** Items that wait at most, and that are kept at most: the oldest go first. */
  readonly maximumItems?: number;
}

export function createMemoryTelemetry(options: MemoryTelemetryOptions = {}): MemoryTelemetry {
  const limit = options.maximumItems ?? 10_000;
  const items: ReportItem[] = [];
  const waiting: ReportItem[] = [];
  let isOpen = false;
  let isClosed = false;
  let isAway = false;
  let dropped = 0;

  function keep(list: ReportItem[], item: ReportItem): void {
    if (item.kind === "meters") {
      const old = list.findIndex(({ kind }) => kind === "meters");
      if (old >= 0) list.splice(old, 1);
    }
    list.push(item);
    if (list.length <= limit) return;
    list.shift();
    dropped++;
  }

  function deliver(): void {
    if (!isOpen || isAway) return;
    for (const item of waiting.splice(0)) keep(items, item);
  }

  return {
    items,
    async open(signal) {
      signal.throwIfAborted();
      isOpen = true;
      deliver();
    },
    async close() {
      isClosed = true;
      dropped += waiting.splice(0).length;
    },
    add(item) {
      if (isClosed) {
        dropped++;
        return;
      }
      keep(waiting, item);
      deliver();
    },
    away(nowAway) {
      isAway = nowAway;
      deliver();
    },
    get dropped() {
      return dropped;
    },
  };
}
