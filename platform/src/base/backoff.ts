import type { Random } from "./random.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maximumMs: number;
  readonly factor?: number;
}

/** Waits that grow, with full jitter in their upper half, until something works. */
export interface Backoff {
  /** The next wait, in milliseconds. */
  next(): number;
  reset(): void;
  readonly attempts: number;
}

export function createBackoff(random: Random, options: BackoffOptions): Backoff {
  const factor = options.factor ?? 2;
  let attempts = 0;
  return {
    next() {
      const ceiling = Math.min(options.maximumMs, options.firstMs * factor ** attempts);
      attempts++;
      return ceiling / 2 + (random.next() * ceiling) / 2;
    },
    reset() {
      attempts = 0;
    },
    get attempts() {
      return attempts;
    },
  };
}
