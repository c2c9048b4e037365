import { type PlanListener, type Plans, PlanTable } from "#ports/plans/index.ts";

/** Plans that a test or simulation sets. */
export interface MemoryPlans<P> extends Plans<P> {
  put(key: string, plan: P): void;
  remove(key: string): void;
  replace(plans: ReadonlyMap<string, P>): void;
}

export interface MemoryPlansOptions {
  /** False: `open` waits and nothing is ready until the first `put` or `replace`. Default true. */
  readonly ready?: boolean;
}

export function createMemoryPlans<P>(options: MemoryPlansOptions = {}): MemoryPlans<P> {
  const table = new PlanTable<P>();
  const first = Promise.withResolvers<void>();
  let ready = options.ready ?? true;

  function change(apply: () => void): void {
    ready = true;
    apply();
    first.resolve();
  }

  return {
    async open(signal) {
      if (!ready) await Promise.race([first.promise, aborted(signal)]);
    },
    async close() {},
    get: (key) => table.get(key),
    entries: () => table.entries(),
    onChange: (listener: PlanListener<P>) => table.onChange(listener),
    get ready() {
      return ready;
    },
    put: (key, plan) => change(() => table.put(key, plan)),
    remove: (key) => change(() => table.remove(key)),
    replace: (plans) => change(() => table.replace(new Map(plans))),
  };
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
