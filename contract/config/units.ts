/** Sizes and durations as people write them. Decimal sizes (MB) are refused: too many who write them mean MiB. */

export type Quantity =
  | { readonly kind: "quantity"; readonly value: number }
  | { readonly kind: "wrong"; readonly message: string };

export const SIZES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
export const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const SIZES_MEANT: Readonly<Record<string, string>> = { b: "B", byte: "B", k: "KiB", m: "MiB", g: "GiB", t: "GiB" };
const DURATIONS_MEANT: Readonly<Record<string, string>> = { s: "s", m: "m", h: "h" };
export const WRITTEN = /^(\d{1,15}(?:\.\d{1,6})?)[ \t]*([A-Za-z]*)$/;

/** Bytes of `128MiB`; units B, KiB, MiB, GiB. */
export function parseSize(text: string): Quantity {
  const match = WRITTEN.exec(text);
  if (match === null) return wrong(`${quoted(text)} is not a size: write a number and a unit, such as 128MiB`);
  const [, amount = "", unit = ""] = match;
  if (Object.hasOwn(SIZES, unit)) return quantity(Number(amount) * SIZES[unit]!, text, "bytes");
  if (unit === "") return wrong(`${quoted(text)} has no unit: write ${amount}MiB, or another of B, KiB, MiB, GiB`);
  const meant = SIZES_MEANT[unit.toLowerCase().replace(/^byte.*/, "byte")] ?? SIZES_MEANT[unit[0]!.toLowerCase()];
  const right = meant === undefined ? "use B, KiB, MiB or GiB" : `write ${amount}${meant}`;
  const decimal = /^[kKMGT]B$/.test(unit) ? " (decimal units are not taken)" : "";
  return wrong(`"${unit}" in ${quoted(text)} is not a unit of size${decimal}: ${right}`);
}

/** Milliseconds of `30s`; units ms, s, m, h. */
export function parseDuration(text: string): Quantity {
  const match = WRITTEN.exec(text);
  if (match === null) return wrong(`${quoted(text)} is not a duration: write a number and a unit, such as 30s`);
  const [, amount = "", unit = ""] = match;
  if (Object.hasOwn(DURATIONS, unit)) return quantity(Number(amount) * DURATIONS[unit]!, text, "milliseconds");
  if (unit === "") return wrong(`${quoted(text)} has no unit: write ${amount}s, or another of ms, s, m, h`);
  const lower = unit.toLowerCase();
  const meant = lower.startsWith("ms") || lower.startsWith("mil") ? "ms" : DURATIONS_MEANT[lower[0]!];
  const right = meant === undefined ? "use ms, s, m or h" : `write ${amount}${meant}`;
  return wrong(`"${unit}" in ${quoted(text)} is not a unit of time: ${right}`);
}

/** `134217728` as `128MiB`, in the largest unit that needs no fraction. */
export function formatSize(bytes: number): string {
  return format(bytes, SIZES, "B");
}

export function formatDuration(ms: number): string {
  return format(ms, DURATIONS, "ms");
}

function format(value: number, units: Readonly<Record<string, number>>, smallest: string): string {
  const whole = Object.entries(units).filter(([, factor]) => value % factor === 0);
  const [unit, factor] = (value === 0 ? undefined : whole.at(-1)) ?? [smallest, 1];
  return `${value / factor}${unit}`;
}

function quantity(value: number, text: string, unit: string): Quantity {
  const rounded = Math.round(value);
  // Fractions such as 0.1 are not exact in binary: only what is visibly not whole is refused.
  if (Math.abs(value - rounded) > 1e-6) return wrong(`${quoted(text)} is not a whole number of ${unit}`);
  return { kind: "quantity", value: rounded };
}

function wrong(message: string): Quantity {
  return { kind: "wrong", message };
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
