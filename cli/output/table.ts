import type { Style } from "./style.ts";

const GAP = "  ";

/** Columns as wide as their widest cell; the last one is not filled up. */
export function renderTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  style: Style = (_colour, text) => text,
): string {
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => Array.from(row[column] ?? "").length)),
  );
  const line = (cells: readonly string[]): string =>
    widths
      .map((width, column) => (cells[column] ?? "").padEnd(width))
      .join(GAP)
      .trimEnd();
  return [style("dim", line(head)), ...rows.map(line)].map((text) => `${text}\n`).join("");
}

/** `key  value` lines, keys in one column. */
export function renderFacts(facts: readonly (readonly [string, string])[], style: Style): string {
  const width = Math.max(...facts.map(([key]) => key.length));
  return facts.map(([key, value]) => `${style("dim", key.padEnd(width))}${GAP}${value}\n`).join("");
}
