import type { Store } from "./index.ts";
import { create, deploy, fresh, updated } from "./sample.ts";

export interface StoreBenchDeps {
  /** Open and empty. */
  readonly store: Store;
  /** A clock that only moves forward, in milliseconds and fractions. */
  readonly nowMs: () => number;
}

export interface StoreBenchRow {
  readonly name: string;
  readonly value: number;
  readonly unit: "per second";
}

/** Rates of what control does most; fills the store it is given. */
export async function benchStore(deps: StoreBenchDeps, options = { rounds: 200 }): Promise<StoreBenchRow[]> {
  const { store } = deps;
  const id = (number: number) => `D${String(number).padStart(8, "0")}`;
  await deploy(store, id(0), [fresh("warm")]);
  const rates = [
    ["release a revision", (n: number) => deploy(store, id(n), [updated("warm", `r${n}`, `v${n}`)])],
    ["create a deployment", (n: number) => create(store, `Q${id(n)}`)],
    ["add an event", (n: number) => store.progress("acme", `Q${id(1)}`, { atMs: n, events: [outputOf(n)] })],
    ["read a function", () => store.function("acme", "shop", "warm")],
    ["read plan changes", (n: number) => store.plansSince("routes", n)],
  ] as const;
  const rows: StoreBenchRow[] = [];
  for (const [name, run] of rates) {
    const startMs = deps.nowMs();
    for (let round = 1; round <= options.rounds; round++) await run(round);
    rows.push({ name, unit: "per second", value: (options.rounds * 1_000) / (deps.nowMs() - startMs) });
  }
  return rows;
}

function outputOf(number: number) {
  return { atMs: number, kind: "output" as const, text: `line ${number}` };
}
