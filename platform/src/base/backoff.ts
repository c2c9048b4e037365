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
    next() {
      const ceiling = Math.min(options.maximumMs, options.firstMs * 2 ** attempts);
      attempts++;
      return ceiling / 2 + (random.next() * ceiling) / 2;
    },
    reset() {
      attempts = 0;
    },
  };
}
