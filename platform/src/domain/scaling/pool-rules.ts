import { memoryClassOf } from "#contract/config/memory-class.ts";
import type { PoolRule } from "./pool-size.ts";

/** What the sandboxes of one pool have in common. */
export interface PoolKey {
  readonly runtime: string;
  /** A memory class (contract/config/memory-class.ts). */
  readonly memoryMiB: number;
}

/** Which pools there are. Plain data: it is handed from process to process. */
export interface PoolRules {
  readonly named: readonly (PoolKey & PoolRule)[];
  /** Of every other key that is asked for. */
  readonly others: PoolRule;
}

export type ParsedRules =
  | { readonly kind: "rules"; readonly rules: PoolRules }
  | { readonly kind: "wrong"; readonly message: string };

const NONE: PoolRule = Object.freeze({ min: 0, max: 0 });
/** No pool at all. */
export const NO_POOLS: PoolRules = Object.freeze({ named: Object.freeze([]), others: NONE });
/** Where sandboxes are isolated: what most functions need waits, the rest follows demand. */
export const DEFAULT_POOLS: PoolRules = Object.freeze({
  named: Object.freeze([
    { runtime: "nodejs", memoryMiB: 128, min: 2, max: 8 },
    { runtime: "python", memoryMiB: 128, min: 1, max: 8 },
  ]),
  others: Object.freeze({ min: 0, max: 4 }),
});

const MOST_MIB = 64 * 1_024;
const MOST_SANDBOXES = 10_000;
const EXAMPLE = "nodejs:128=2..8,python:128=1..4";
const ENTRY = /^(?:([a-z][a-z0-9]*):(\d{1,6})|(\*))=(\d{1,6})(?:\.\.(\d{1,6}))?$/;

export function poolName({ runtime, memoryMiB }: PoolKey): string {
  return `${runtime}:${memoryMiB}`;
}

export function ruleOf(rules: PoolRules, key: PoolKey): PoolRule {
  return rules.named.find((entry) => poolName(entry) === poolName(key)) ?? rules.others;
}

/** `off`, or `<runtime>:<MiB>=<minimum>..<maximum>` with commas between; `*=0..4` is for every size that is not named. */
export function parsePoolRules(text: string): ParsedRules {
  if (text === "off") return { kind: "rules", rules: NO_POOLS };
  const named: (PoolKey & PoolRule)[] = [];
  let others: PoolRule | undefined;
  for (const part of text.split(",").map((piece) => piece.trim())) {
    const [, runtime, size, star, from, to] = ENTRY.exec(part) ?? [];
    if (from === undefined)
      return wrong(part, `it takes off, or runtime:MiB=minimum..maximum as in ${EXAMPLE}, and *=0..4 for all others`);
    const rule = { min: Number(from), max: Number(to ?? from) };
    const mistake = mistakeOf(rule) ?? (star === undefined ? mistakeOfSize(Number(size)) : undefined);
    if (mistake !== undefined) return wrong(part, mistake);
    const key = { runtime: runtime ?? "", memoryMiB: Number(size) };
    const again = star === undefined ? named.some((entry) => poolName(entry) === poolName(key)) : others !== undefined;
    if (again) return wrong(part, "it stands there twice: leave one out");
    if (star === undefined) named.push({ ...key, ...rule });
    else if (rule.min > 0) return wrong(part, "sizes that are not named have no minimum: write *=0..4");
    else others = rule;
  }
  return { kind: "rules", rules: { named, others: others ?? NONE } };
}

function mistakeOf({ min, max }: PoolRule): string | undefined {
  if (min > max) return `the minimum is above the maximum: write ${max}..${min}`;
  return max > MOST_SANDBOXES ? `at most ${MOST_SANDBOXES} sandboxes may wait` : undefined;
}

function mistakeOfSize(memoryMiB: number): string | undefined {
  const whole = memoryClassOf(memoryMiB);
  if (whole > MOST_MIB) return `sandboxes have at most ${MOST_MIB} MiB`;
  return whole === memoryMiB ? undefined : `sizes are multiples of ${memoryClassOf(1)} MiB: write ${whole}`;
}

function wrong(part: string, message: string): ParsedRules {
  return { kind: "wrong", message: `${JSON.stringify(part)}: ${message}` };
}
