/**
 * Every key of colibri.yaml: what the parser knows, what it suggests and what docs/configuration.md must explain. Sizes are in
 * bytes, durations in milliseconds.
 */

export const APP_FILE = "colibri.yaml";

export type KeyType = "text" | "integer" | "size" | "duration" | "map" | "list" | "text or map";

export interface Key {
  /** `*` stands for a name that the user chooses, `[]` for the entries of a list. */
  readonly path: string;
  readonly type: KeyType;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: number;
}

export const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const DAY = 86_400_000;
const FN = "functions.*";

export const KEYS = [
  { path: "app", type: "text" },
  { path: "env", type: "map" },
  { path: "env.*", type: "text" },
  { path: "network", type: "text or map" },
  { path: "network.allow", type: "list" },
  { path: "functions", type: "map" },
  { path: FN, type: "map" },
  { path: `${FN}.runtime`, type: "text" },
  { path: `${FN}.source`, type: "text" },
  { path: `${FN}.handler`, type: "text" },
  { path: `${FN}.memory`, type: "size", minimum: 64 * MIB, maximum: 64 * GIB, default: 128 * MIB },
  { path: `${FN}.timeout`, type: "duration", minimum: 100, maximum: DAY, default: 30_000 },
  { path: `${FN}.initTimeout`, type: "duration", minimum: 100, maximum: 600_000, default: 10_000 },
  { path: `${FN}.concurrency`, type: "integer", minimum: 1, maximum: 1_000, default: 20 },
  { path: `${FN}.execution`, type: "text" },
  { path: `${FN}.env`, type: "map" },
  { path: `${FN}.env.*`, type: "text" },
  { path: `${FN}.scaling`, type: "map" },
  { path: `${FN}.scaling.min`, type: "integer", minimum: 0, maximum: 10_000, default: 0 },
  { path: `${FN}.scaling.max`, type: "integer", minimum: 1, maximum: 10_000, default: 100 },
  { path: `${FN}.scaling.keepAlive`, type: "duration", minimum: 0, maximum: DAY, default: 300_000 },
  { path: `${FN}.scaling.freezeAfter`, type: "duration", minimum: 1_000, maximum: DAY, default: 60_000 },
  { path: `${FN}.queue`, type: "map" },
  { path: `${FN}.queue.length`, type: "integer", minimum: 0, maximum: 100_000, default: 1_000 },
  { path: `${FN}.queue.timeout`, type: "duration", minimum: 1, maximum: DAY, default: 30_000 },
  { path: `${FN}.limits`, type: "map" },
  { path: `${FN}.limits.body`, type: "size", minimum: 0, maximum: 64 * GIB, default: 100 * MIB },
  { path: `${FN}.build`, type: "map" },
  { path: `${FN}.build.installScripts`, type: "list" },
  { path: `${FN}.triggers`, type: "list" },
  { path: `${FN}.triggers[].http`, type: "text" },
  { path: `${FN}.triggers[].host`, type: "text" },
  { path: `${FN}.triggers[].timer`, type: "text" },
] as const satisfies readonly Key[];

/** Keys with a range and a default. */
export type QuantityPath = Extract<(typeof KEYS)[number], { default: number }>["path"];

const BY_PATH: ReadonlyMap<string, Key> = new Map(KEYS.map((key) => [key.path, key]));

export function quantityKey(path: QuantityPath): Required<Key> {
  return BY_PATH.get(path) as Required<Key>;
}

/** Names of the keys that a mapping may have; empty where the user chooses them. */
export function keysBelow(path: string): readonly string[] {
  const prefix = path === "" ? "" : `${path}.`;
  const below = KEYS.map((key): string => key.path).filter((key) => key.startsWith(prefix));
  return below.map((key) => key.slice(prefix.length)).filter((name) => /^\w+$/.test(name));
}

/** Where a key that was written at the wrong place belongs, such as `functions.*.scaling.max` for `max`. */
export function placesOf(name: string): readonly string[] {
  const paths = KEYS.map((key): string => key.path);
  return [...paths.filter((path) => path.endsWith(`.${name}`)), ...paths.filter((path) => path === name)];
}
