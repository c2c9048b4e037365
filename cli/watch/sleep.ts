import { setTimeout } from "node:timers/promises";

/** False when the signal aborted it. */
export function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  return setTimeout(ms, true, { signal }).catch(() => false);
}
