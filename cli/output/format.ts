import { printable } from "./printable.ts";

export type Format = "table" | "wide" | "name" | "json" | "yaml";

export interface FormatOptions {
  readonly json?: boolean;
  readonly output?: Format;
}

/** The forms in which a command can print what it found. */
export interface Printed {
  /** For programs. */
  readonly data: unknown;
  /** For people; with all columns if `wide`. */
  readonly text: (wide: boolean) => string;
  /** For other commands, such as `xargs`: a line each. */
  readonly names?: () => readonly string[];
}

export function formatOf({ json, output }: FormatOptions): Format {
  return json ? "json" : (output ?? "table");
}

export async function print({ data, text, names }: Printed, options: FormatOptions): Promise<string> {
  const format = formatOf(options);
  if (format === "json") return `${JSON.stringify(data, null, 2)}\n`;
  if (format === "name") return (names?.() ?? []).map((name) => `${printable(name)}\n`).join("");
  if (format !== "yaml") return text(format === "wide");
  const { stringify } = await import("yaml");
  // As JSON says it: without what is undefined, and the same object twice rather than an anchor.
  return stringify(JSON.parse(JSON.stringify(data)), { aliasDuplicateObjects: false, lineWidth: 0 });
}
