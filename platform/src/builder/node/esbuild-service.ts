/**
 * Owns: esbuild's process, which all builds share. Does not own: what is built.
 *
 * 1. The process is there only while somebody uses it: an idle platform has none.
 */
import * as esbuild from "esbuild";

let users = 0;

export async function withEsbuild<T>(use: (service: typeof esbuild) => Promise<T>): Promise<T> {
  users++;
  try {
    return await use(esbuild);
  } finally {
    users--;
    if (users === 0) await esbuild.stop();
  }
}

/** esbuild's complaint as people expect one: `file:line:column: text`, the line, and a caret. */
export function formatMessage(message: esbuild.Message): string {
  const { location, text } = message;
  if (location === null) return text;
  const { file, line, column, lineText } = location;
  const start = Math.max(0, column - 100);
  const shown = lineText.slice(start, start + 120).replace(/\t/g, " ");
  return `${file}:${line}:${column + 1}: ${text}\n  ${shown}\n  ${" ".repeat(column - start)}^`;
}

const SHOWN = 5;

export function formatMessages(messages: readonly esbuild.Message[]): string {
  const more = messages.length > SHOWN ? `\nand ${messages.length - SHOWN} more` : "";
  return messages.slice(0, SHOWN).map(formatMessage).join("\n") + more;
}
