import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "./failure.ts";

const FIRST_MS = 250;
const LONGEST_MS = 5_000;

/** Waits that double up to five seconds, and begin anew after `reset`. */
export class Waits {
  #next = FIRST_MS;
  #waitedMs = 0;

  /** Since the last reset. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  reset(): void {
    this.#next = FIRST_MS;
    this.#waitedMs = 0;
  }

  /** Rejects with the signal's reason when that aborts. */
  async wait(signal: AbortSignal | undefined): Promise<void> {
    const ms = this.#next;
    this.#next = Math.min(LONGEST_MS, 2 * ms);
    this.#waitedMs += ms;
    await sleep(ms, undefined, signal && { signal }).catch(() => signal?.throwIfAborted());
  }
}

/** Whether trying again may help: the platform is away or says that it will be back. */
export function mayComeBack(error: unknown): boolean {
  const { exit, status } = error as { exit?: number; status?: number };
  if (exit === undefined) return true; // the connection was cut
  return exit === EXIT.unreachable || (status !== undefined && RETRIED.has(status));
}

const RETRIED = new Set([502, 503, 504]);

/** Runs `action` again while that may help, for up to `longestMs` of waiting. */
export async function retrying<T>(
  action: () => Promise<T>,
  longestMs: number,
  signal: AbortSignal | undefined,
): Promise<T> {
  const waits = new Waits();
  for (;;) {
    try {
      return await action();
    } catch (error) {
      signal?.throwIfAborted();
      if (!mayComeBack(error) || waits.waitedMs >= longestMs) throw error;
    }
    await waits.wait(signal);
  }
}
