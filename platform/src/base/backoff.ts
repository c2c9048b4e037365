import type { Random } from "./random.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maximumMs: number;
}

/** Waits that double, with full jitter in their upper half, until something works. */
export interface Backoff {
  /** The next wait, in milliseconds. */
  next(): number;
  reset(): void;
}

export function createBackoff(random: Random, options: BackoffOptions): Backoff {
  let attempts = 0;
  return {
    next: () => backoffMs(random, options, attempts++),
    reset() {
      attempts = 0;
    },
  };
}

/** The wait after so many earlier failures, for those who count them themselves. */
export function backoffMs(random: Random, options: BackoffOptions, failures: number): number {
  const ceiling = Math.min(options.maximumMs, options.firstMs * 2 ** failures);
  return ceiling / 2 + (random.next() * ceiling) / 2;
}
