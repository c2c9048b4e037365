import type { ReportItem } from "#contract/report/report.ts";

/**
 * The telemetry port: where a gateway or agent leaves records, logs and meters. Taking an item never waits and never fails:
 * what can't be kept is dropped, and the number dropped is told with the next item that gets through.
 */
export interface Telemetry {
  open(signal: AbortSignal): Promise<void>;
  /** Sends what it can in a short time, then gives up the rest. */
  close(): Promise<void>;
  add(item: ReportItem): void;
  /** Items dropped since the start. */
  readonly dropped: number;
}
