/** How many unfinished uploads may lie about, and of how many bytes. */
export interface Bounds {
  readonly number: number;
  readonly bytes: number;
}

/** An unfinished upload's file. */
export interface Kept {
  readonly tenant: string;
  /** The upload's. */
  readonly key: string;
  readonly path: string;
  /** `silent`: somebody has it open, and does not get on. */
  readonly use: "idle" | "busy" | "silent";
  /** That are there. */
  readonly bytes: number;
  /** That it is to have. */
  readonly totalBytes: number;
  readonly touchedAtMs: number;
}

/** Those that make room for another of `bytes`, as few as will do; undefined when there is too little to be had. */
export function chooseVictims(
  others: readonly Kept[],
  { tenant, bytes }: { readonly tenant: string; readonly bytes: number },
  bounds: { readonly tenant: Bounds; readonly all: Bounds },
): Kept[] | undefined {
  const ranked = others.filter(({ use }) => use !== "busy").sort(worthFirst);
  const victims = new Set<Kept>();
  /** Whether what stays of these, and the newcomer, are within the bounds once victims are taken. */
  const trim = (among: readonly Kept[], within: Bounds): boolean => {
    let number = 1;
    let total = bytes;
    for (const one of among) {
      if (victims.has(one)) continue;
      number++;
      total += weightOf(one);
    }
    for (const one of ranked) {
      if (number <= within.number && total <= within.bytes) break;
      if (victims.has(one) || !among.includes(one)) continue;
      victims.add(one);
      number--;
      total -= weightOf(one);
    }
    return number <= within.number && total <= within.bytes;
  };
  const own = others.filter((one) => one.tenant === tenant);
  return trim(own, bounds.tenant) && trim(others, bounds.all) ? [...victims] : undefined;
}

/** What is being sent will be there whole. */
function weightOf({ use, bytes, totalBytes }: Kept): number {
  return use === "idle" ? bytes : totalBytes;
}

function worthFirst(a: Kept, b: Kept): number {
  if (a.use !== b.use) return a.use === "idle" ? -1 : 1;
  return a.touchedAtMs - b.touchedAtMs;
}
