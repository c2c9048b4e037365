/** Opaque: given by `after`, taken by `cancel`. */
export type Timer = object;

/** Time, as far as the platform may know it. The simulated one (base/simulated-clock.ts) obeys a test. */
export interface Clock {
  /** Wall clock, milliseconds since 1970: for records and logs, never for differences. */
  now(): number;
  /** Milliseconds, with fractions, that never jump: for durations and deadlines. */
  monotonic(): number;
  /** Runs `action` once after `delayMs`; does not keep the process alive. */
  after(delayMs: number, action: () => void): Timer;
  cancel(timer: Timer): void;
}

/** Longest delay that setTimeout takes without firing at once. */
const MAXIMUM_DELAY_MS = 2 ** 31 - 1;

export function createSystemClock(): Clock {
  return {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    after: (delayMs, action) => setTimeout(action, Math.min(delayMs, MAXIMUM_DELAY_MS)).unref(),
    cancel: (timer) => clearTimeout(timer as NodeJS.Timeout),
  };
}

/** Milliseconds to the nearest microsecond: more digits would be noise in records and headers. */
export function roundToMicroseconds(milliseconds: number): number {
  return Math.round(milliseconds * 1_000) / 1_000;
}

/** Resolves after `delayMs`, or at once when the signal aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clock.cancel(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = clock.after(delayMs, end);
    signal?.addEventListener("abort", end);
  });
}
