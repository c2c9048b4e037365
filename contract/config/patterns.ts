/** What the parser takes, as regular expressions for colibri.schema.json. They are made of the parser's own tables. */
import { NEVER } from "./scaling.ts";
import { type CronField, HOST, MAXIMUM_PATH, METHODS, PARAMETER, RESERVED, SEGMENT, TIMER_FIELDS } from "./triggers.ts";
import { DURATIONS, SIZES, WRITTEN } from "./units.ts";

export const SIZE_PATTERN = withUnits(SIZES);
export const DURATION_PATTERN = withUnits(DURATIONS);
export const DURATION_OR_NEVER_PATTERN = `^${NEVER}$|${DURATION_PATTERN}`;
export const HOST_PATTERN = HOST.source.replaceAll("a-z", "A-Za-z");
/** Of an allow-list: whether an address is one, and none that is private, the parser says. */
export const ALLOWED_HOST_PATTERN =
  "^(?:\\*\\.)?[A-Za-z0-9_-]{1,63}(?:\\.[A-Za-z0-9_-]{1,63})*\\.?(?:/\\d{1,2})?(?::[1-9]\\d{0,4})?$";
export const HTTP_PATTERN = httpPattern();
export const TIMER_PATTERN = `^\\s*${TIMER_FIELDS.map(cronField).join("\\s+")}\\s*$`;

function withUnits(units: Readonly<Record<string, number>>): string {
  return WRITTEN.source.replace("([A-Za-z]*)", `(?:${Object.keys(units).join("|")})`);
}

/** All but that a parameter occurs once. */
function httpPattern(): string {
  const inner = (pattern: RegExp) => pattern.source.slice(1, -1);
  const rest = inner(PARAMETER);
  const segment = `(?!\\.{1,2}(?:/|\\s|$))(?:${inner(SEGMENT)}|${rest.replace("\\*?", "")})`;
  const reserved = `(?!(?:${RESERVED.join("|")})(?:/|\\s|$))`;
  const path = `/(?!\\S{${MAXIMUM_PATH}})${reserved}(?:${segment}/)*(?:${segment}|${rest})?`;
  return `^\\s*(?:(?:${METHODS.map(anyCase).join("|")})\\s+)?${path}\\s*$`;
}

/** All but that a range begins with its smaller end. */
function cronField({ minimum, maximum, words = [] }: CronField): string {
  const value = `(?:${[...twoDigits(minimum, maximum), ...words.map(anyCase)].join("|")})`;
  const part = `(?:\\*|${value}(?:-${value})?)(?:/0*[1-9]\\d*)?`;
  return `${part}(?:,${part})*`;
}

/** `0?[0-9]`, `[1-5][0-9]`: numbers of a range, a leading zero allowed. */
function twoDigits(minimum: number, maximum: number): string[] {
  const patterns: string[] = [];
  for (let tens = Math.floor(minimum / 10); tens * 10 <= maximum; tens++) {
    const from = Math.max(minimum - tens * 10, 0);
    const to = Math.min(maximum - tens * 10, 9);
    patterns.push(`${tens === 0 ? "0?" : tens}[${from}-${to}]`);
  }
  return patterns;
}

function anyCase(word: string): string {
  return word.replace(/[A-Za-z]/g, (letter) => `[${letter.toUpperCase()}${letter.toLowerCase()}]`).replace("*", "\\*");
}
