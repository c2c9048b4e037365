import type { LogLine } from "#contract/api/resources.ts";
import type { Colour, Style } from "../output/style.ts";

const COLOURS: Readonly<Record<LogLine["level"], Colour | undefined>> = {
  debug: "dim",
  info: undefined,
  warn: "yellow",
  error: "red",
};
/** The end of an id differs most: its beginning is the time. */
const SHORT_ID = 8;

/** `time level id text`: further lines of a text with many, such as a stack, are indented below. */
export function renderLine(line: LogLine, style: Style): string {
  const colour = COLOURS[line.level];
  const level = line.level.padEnd(5);
  const id = (line.invocation?.slice(-SHORT_ID) ?? (line.stream === "platform" ? "platform" : "-")).padEnd(SHORT_ID);
  const text = line.text.replace(/\n$/, "").replaceAll("\n", "\n    ");
  const shown = colour === undefined ? text : style(colour, text);
  return `${style("dim", line.at)} ${colour === undefined ? level : style(colour, level)} ${style("cyan", id)} ${shown}\n`;
}
