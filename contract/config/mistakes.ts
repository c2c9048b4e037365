/** One thing to correct in a configuration file. */
export interface Mistake {
  /** From 1. */
  readonly line: number;
  /** From 1, in characters. */
  readonly column: number;
  /** The key, such as `functions.thumb.memory`; empty when the text is not YAML at all. */
  readonly path: string;
  /** What is wrong, and what would be right. */
  readonly message: string;
}

const SHOWN_CHARACTERS = 110;
/** What a terminal would obey instead of show. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** For people: each mistake with its line of the file and a caret below the place. */
export function formatMistakes(mistakes: readonly Mistake[], text: string, fileName: string): string {
  const lines = text.split(/\r\n|\r|\n/);
  const width = String(mistakes.reduce((most, mistake) => Math.max(most, mistake.line), 1)).length;
  return mistakes.map((mistake) => formatOne(mistake, lines[mistake.line - 1] ?? "", fileName, width)).join("\n\n");
}

function formatOne(mistake: Mistake, line: string, fileName: string, width: number): string {
  const { line: number, column, path, message } = mistake;
  const where = path === "" ? "" : `${path}: `;
  const cut = Math.max(0, column - SHOWN_CHARACTERS + 10);
  const shown = line.slice(cut, cut + SHOWN_CHARACTERS).replace(CONTROL, " ");
  const gutter = " ".repeat(width);
  return [
    `${fileName}:${number}:${column}: ${`${where}${message}`.replace(CONTROL, "?")}`,
    `  ${String(number).padStart(width)} | ${shown}`,
    `  ${gutter} | ${" ".repeat(column - 1 - cut)}^`,
  ].join("\n");
}
