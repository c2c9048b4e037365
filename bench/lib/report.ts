import { cpus, totalmem } from "node:os";

/** A checkout to measure. */
export interface Target {
  readonly name: string;
  readonly folder: string;
}

export type Row = Readonly<Record<string, string | number>>;

/** Figures without the machine they come from mean nothing. */
export function machine(): string {
  return `${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}`;
}

export function printTable(rows: readonly Row[]): void {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const text = [columns, ...rows.map((row) => columns.map((column) => String(row[column] ?? "")))];
  const widths = columns.map((_, index) => Math.max(...text.map((line) => line[index]!.length)));
  for (const line of text) console.log(line.map((cell, index) => cell.padEnd(widths[index]!)).join("  "));
}
