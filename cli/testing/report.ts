import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";
import { showSpan } from "../output/units.ts";
import type { CaseOutcome, CaseResult } from "./runner.ts";

const MARKS = { passed: ["green", "✓"], failed: ["red", "✗"], skipped: ["yellow", "-"] } as const;
const SHOWN_LOG_LINES = 20;

/** A function's name, before its first case. */
export function renderFunction(name: string, style: Style): string {
  return `${style("bold", name)}\n`;
}

/** `log`: what the function said during the invocation. */
export function renderResult(result: CaseResult, log: readonly string[], style: Style): string {
  const { case: one, outcome, tookMs, problems } = result;
  const [colour, mark] = MARKS[outcome];
  const time = outcome === "skipped" ? `skipped: ${oneLine(one.skip ?? "")}` : showSpan(tookMs);
  const lines = [`  ${style(colour, mark)} ${oneLine(one.name)}  ${style("dim", time)}`];
  for (const problem of problems) lines.push(...indented(problem, 6).map((line) => style("red", line)));
  if (outcome === "failed" && log.length > 0) {
    lines.push(style("dim", "      log:"));
    lines.push(
      ...log
        .slice(-SHOWN_LOG_LINES)
        .flatMap((text) => indented(text, 8))
        .map((line) => style("dim", line)),
    );
  }
  return `${lines.join("\n")}\n`;
}

/** A name must not pass for lines of a report, or of what reads it. */
function oneLine(text: string): string {
  return printable(text).replace(/\s+/g, " ");
}

export function renderSummary(results: readonly CaseResult[], tookMs: number, style: Style): string {
  const count = (outcome: CaseOutcome) => results.filter((result) => result.outcome === outcome).length;
  const [passed, failed, skipped] = [count("passed"), count("failed"), count("skipped")];
  const parts = [
    style("green", `${passed} passed`),
    ...(failed > 0 ? [style("red", `${failed} failed`)] : []),
    ...(skipped > 0 ? [style("yellow", `${skipped} skipped`)] : []),
  ];
  return `\n${parts.join(", ")} in ${showSpan(tookMs)}\n`;
}

/** For programs: the same in JSON. */
export function describeResults(results: readonly CaseResult[]) {
  return results.map(({ case: one, outcome, tookMs, problems, invocation }) => ({
    ...{ function: one.function, name: one.name, line: one.line, outcome },
    tookMs: Math.round(tookMs * 1_000) / 1_000,
    ...(one.skip !== undefined && { skip: one.skip }),
    ...(problems.length > 0 && { problems }),
    ...(invocation !== undefined && { invocation }),
  }));
}

/** JUnit's XML, as build servers read it: a suite for each function. */
export function renderJunit(app: string, results: readonly CaseResult[]): string {
  const functions = [...new Set(results.map((result) => result.case.function))];
  const suites = functions.map((fn) =>
    suite(
      app,
      fn,
      results.filter((result) => result.case.function === fn),
    ),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function suite(app: string, fn: string, results: readonly CaseResult[]): string {
  const count = (outcome: CaseOutcome) => results.filter((result) => result.outcome === outcome).length;
  const seconds = results.reduce((sum, { tookMs }) => sum + tookMs, 0) / 1_000;
  const name = `${app}/${fn}`;
  const cases = results.map((result) => testcase(name, result));
  return `  <testsuite name="${escaped(name)}" tests="${results.length}" failures="${count("failed")}" skipped="${count("skipped")}" time="${seconds.toFixed(3)}">\n${cases.join("")}  </testsuite>\n`;
}

function testcase(suiteName: string, { case: one, outcome, tookMs, problems }: CaseResult): string {
  const open = `    <testcase classname="${escaped(suiteName)}" name="${escaped(one.name)}" time="${(tookMs / 1_000).toFixed(3)}"`;
  if (outcome === "passed") return `${open}/>\n`;
  if (outcome === "skipped") return `${open}><skipped message="${escaped(one.skip ?? "")}"/></testcase>\n`;
  const first = problems[0]?.split("\n")[0] ?? "";
  return `${open}><failure message="${escaped(first)}">${escaped(problems.join("\n"))}</failure></testcase>\n`;
}

function indented(text: string, spaces: number): string[] {
  return text
    .replace(/\n$/, "")
    .split("\n")
    .map((line) => " ".repeat(spaces) + line);
}

/** XML has no place for most control characters, escaped or not. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "?")
    .replace(/[&<>"\n]/g, (found) => `&#${found.charCodeAt(0)};`);
}
