import { printable } from "./printable.ts";
import type { Colour, Style } from "./style.ts";

const GAP = "  ";

/** Columns as wide as their widest cell; the last one is not filled up. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  style: Style = (_colour, text) => text,
): string {
  const shown = rows.map((row) => row.map(printable));
  const widths = head.map((title, column) =>
    Math.max(title.length, ...shown.map((row) => Array.from(row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) => (cells[column] ?? "").padEnd(width))
      .join(GAP)
      .trimEnd();
  return [style("dim", line(head)), ...shown.map(line)].map((text) => `${text}\n`).join("");
}

export type Fact = readonly [key: string, value: string, colour?: Colour];

/** `key  value` lines, keys in one column. */
export function renderFacts(facts: readonly Fact[], style: Style): string {
  const width = Math.max(...facts.map(([key]) => key.length));
  return facts
    .map(([key, value, colour]) => {
      const shown = printable(value);
      return `${style("dim", key.padEnd(width))}${GAP}${colour === undefined ? shown : style(colour, shown)}\n`;
    })
    .join("");
}
