import { setTimeout } from "node:timers/promises";

/** False when the signal aborted it. Not that of base, whose timers let the process end: here nothing else keeps it. */
export function sleep(ms: number, signal: AbortSignal): Promise<boolean> {
  return setTimeout(ms, true, { signal }).catch(() => false);
}
