import type { Random } from "#base/random.ts";

/** From, up to. */
export type Range = readonly [number, number];

/**
 * What an invocation does in the end. `ignore` answers to nothing, CANCEL included, but the guest lives; `hang` stops the whole
 * guest, as a spinning event loop does; `garbage` breaks the guest protocol.
 */
const SIMULATED_OUTCOMES = ["ok", "error", "ignore", "exit", "out-of-memory", "hang", "garbage"] as const;
export type SimulatedOutcome = (typeof SIMULATED_OUTCOMES)[number];

/** How a function behaves. Chances are from 0 to 1; outcomes have weights. */
export interface Behaviour {
  readonly loadMs: Range;
  readonly initMs: Range;
  readonly durationMs: Range;
  readonly outcomes: Partial<Readonly<Record<SimulatedOutcome, number>>>;
  /** The body of an answer: the invocation's own, or so many bytes. */
  readonly answer: "echo" | Range;
  readonly loadFails: number;
  readonly initFails: number;
  /** Entries logged by an invocation. */
  readonly logs: Range;
}

export const DEFAULT_BEHAVIOUR: Behaviour = Object.freeze<Behaviour>({
  loadMs: [1, 5],
  initMs: [0, 5],
  durationMs: [1, 20],
  outcomes: { ok: 1 },
  answer: [0, 100],
  loadFails: 0,
  initFails: 0,
  logs: [0, 0],
});

export function draw(random: Random, [from, upTo]: Range): number {
  return from + random.next() * (upTo - from);
}

export function drawInteger(random: Random, [from, upTo]: Range): number {
  return from + random.below(upTo - from + 1);
}

export function drawOutcome(random: Random, outcomes: Behaviour["outcomes"]): SimulatedOutcome {
  const total = SIMULATED_OUTCOMES.reduce((sum, outcome) => sum + (outcomes[outcome] ?? 0), 0);
  let rest = random.next() * total;
  for (const outcome of SIMULATED_OUTCOMES) {
    rest -= outcomes[outcome] ?? 0;
    if (rest < 0) return outcome;
  }
  return "ok";
}
