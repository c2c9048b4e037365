import type { Invocation } from "../dispatch/invocation.ts";

/** Counts what the gateway did, for /metrics. */
export interface Meters {
  count(invocation: Invocation, waitMs: number, runMs: number): void;
  render(): string;
}
