import { Compile } from "typebox/compile";
import { type LogLine, LogLineSchema } from "#contract/api/resources.ts";
import type { LogsItem } from "#contract/report/report.ts";

const LINE = Compile(LogLineSchema);

/** Latest moment that a Date can hold. */
const LAST_MOMENT_MS = 8.64e15;

/** What an agent reported, as lines of JSON. What was dropped before is told first, by a line of the platform. */
export function linesOf(item: LogsItem, nowMs: number): string[] {
  const { entries, dropped } = item.log;
  const from = { function: item.function, revision: item.revision, sandbox: item.sandbox };
  const lines: LogLine[] = entries.map(({ atMs, invocation, stream, level, text }) => ({
    at: moment(atMs, nowMs),
    ...from,
    ...(invocation === undefined ? {} : { invocation }),
    stream: item.from === "platform" ? "platform" : stream,
    level,
    text,
  }));
  if (dropped !== undefined && dropped > 0) {
    const text = `${dropped.toLocaleString("en-US")} ${dropped === 1 ? "line" : "lines"} dropped: more than its log takes`;
    lines.unshift({ at: lines[0]?.at ?? moment(nowMs, nowMs), ...from, stream: "platform", level: "warn", text });
  }
  return lines.map((line) => `${JSON.stringify(line)}\n`);
}

/** A line that tells a reader what it missed. */
export function missedLine(functionName: string, nowMs: number): LogLine {
  const text = "lines removed before they could be read: the log grew faster than it was read";
  const from = { function: functionName, revision: "", sandbox: "" };
  return { at: moment(nowMs, nowMs), ...from, stream: "platform", level: "warn", text };
}

/** Undefined for what is no line, such as the torn end of a crash. */
export function parseLine(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return LINE.Check(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A guest may say anything about the time. */
function moment(atMs: number, nowMs: number): string {
  return new Date(atMs <= LAST_MOMENT_MS ? atMs : nowMs).toISOString();
}
