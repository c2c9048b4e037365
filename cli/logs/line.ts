import type { LogLine } from "#sdk/node/client.ts";
import { printable } from "../output/printable.ts";
import type { Colour, Style } from "../output/style.ts";

const COLOURS: Readonly<Record<LogLine["level"], Colour | undefined>> = {
  debug: "dim",
  info: undefined,
  warn: "yellow",
  error: "red",
};
/** Of an id, what differs most: the last characters of its time, and its counter (base/ids.ts). */
const SHORT_ID = 8;
const SHORT_ID_END = 14;

/** `time level id text`: further lines of a text with many, such as a stack, are indented below. */
export function renderLine(line: LogLine, style: Style): string {
  const colour = COLOURS[line.level];
  const level = printable(line.level).padEnd(5);
  const id = printable(
    line.invocation?.slice(SHORT_ID_END - SHORT_ID, SHORT_ID_END) ?? (line.stream === "platform" ? "platform" : "-"),
  ).padEnd(SHORT_ID);
  const text = printable(line.text).replace(/\n$/, "").replaceAll("\n", "\n    ");
  const shown = colour === undefined ? text : style(colour, text);
  return `${style("dim", printable(line.at))} ${colour === undefined ? level : style(colour, level)} ${style("cyan", id)} ${shown}\n`;
}
