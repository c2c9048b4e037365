import type { Clock, Timer } from "./clock.ts";

interface Pending extends Timer {
  readonly at: number;
  readonly order: number;
  readonly action: () => void;
  cancelled: boolean;
}

/**
 * Time that moves only when told to. Timers due at the same moment run in the order they were set. Between two timers all
 * promise work settles, so a run is repeatable as long as nothing waits for the outside.
 */
export class SimulatedClock implements Clock {
  #now: number;
  #order = 0;
  /** A heap by (at, order). */
  readonly #pending: Pending[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#now = startMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer: Pending = { at: this.#now + Math.max(0, delayMs), order: this.#order++, action, cancelled: false };
    this.#push(timer);
    return timer;
  }

  cancel(timer: Timer): void {
    (timer as Pending).cancelled = true;
  }

  /** Number of timers set and not cancelled. */
  get pending(): number {
    return this.#pending.filter((timer) => !timer.cancelled).length;
  }

  /** Runs everything due until `durationMs` from now, then stands there. */
  async advance(durationMs: number): Promise<void> {
    const until = this.#now + durationMs;
    await settle();
    while (await this.step(until));
    this.#now = until;
  }

  /** Runs the next timer due by `until`; false when there is none. */
  async step(until = Number.POSITIVE_INFINITY): Promise<boolean> {
    for (;;) {
      const next = this.#pending[0];
      if (next === undefined || next.at > until) return false;
      this.#pop();
      if (next.cancelled) continue;
      this.#now = Math.max(this.#now, next.at);
      next.action();
      await settle();
      return true;
    }
  }

  #push(timer: Pending): void {
    const heap = this.#pending;
    let index = heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(timer, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = timer;
  }

  #pop(): void {
    const heap = this.#pending;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = index * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Pending, b: Pending): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

/** Lets all promise reactions run: setImmediate comes only when the microtask queue is empty. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
