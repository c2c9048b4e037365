/** Colours, which many print into their logs: dropped, so that what they colour stays readable. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
const COLOURS = /\u001b\[[\d;]*m/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are exactly what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/**
 * What others said (users' code, a platform, a file's name) as text that a terminal shows and does not obey: it must not move the
 * cursor, rename the window or hide what stands before it. Line feeds and tabs stay.
 */
export function printable(text: string): string {
  return text.replaceAll("\r\n", "\n").replace(COLOURS, "").replace(CONTROL, "?");
}
