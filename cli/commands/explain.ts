import { asTyped } from "#base/own-command.ts";
import { closest } from "#contract/config/suggest.ts";
import { ERRORS, type ErrorCode, type ErrorDefinition, type Fault, isErrorCode } from "#contract/errors.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { createStyle, type Style } from "../output/style.ts";
import { renderFacts, renderTable } from "../output/table.ts";
import type { Surroundings } from "../surroundings.ts";

const FAULTS: Readonly<Record<Fault, string>> = {
  caller: "the caller: the request",
  user: "the function: its code or configuration",
  platform: "the platform",
  capacity: "nobody: too much at once, or too little time",
};

interface Entry extends ErrorDefinition {
  readonly code: ErrorCode;
}

/** Asks no platform: the catalogue is the same everywhere. */
export async function explain(
  surroundings: Surroundings,
  code: string | undefined,
  options: FormatOptions,
): Promise<ExitCode> {
  const style = createStyle(surroundings.stdout, surroundings.env);
  const isOne = code !== undefined && !isStatus(code);
  const entries = isOne ? [entryOf(checkCode(code))] : entriesOf(code);
  const text = (): string => asTyped(isOne ? renderOne(entries[0]!, style) : renderAll(entries, style), surroundings);
  const data = isOne ? entries[0] : entries;
  surroundings.stdout.write(await print({ data, text, names: () => entries.map((entry) => entry.code) }, options));
  return EXIT.ok;
}

function entryOf(code: ErrorCode): Entry {
  return { code, ...ERRORS[code] };
}

function isStatus(text: string): boolean {
  return /^[1-5]\d\d$/.test(text);
}

/** Of a status, or all. */
function entriesOf(status: string | undefined): Entry[] {
  const all = (Object.keys(ERRORS) as ErrorCode[]).map(entryOf);
  if (status === undefined) return all;
  const found = all.filter((entry) => String(entry.status) === status);
  if (found.length > 0) return found;
  throw new CliError(`No error of the platform has status ${status}.`, {
    exit: EXIT.notFound,
    hints: ["A function may answer with any status. `npx colibri explain` lists what the platform answers with."],
  });
}

function checkCode(text: string): ErrorCode {
  const code = text.toLowerCase();
  if (isErrorCode(code)) return code;
  const codes = Object.keys(ERRORS);
  const near = closest(code, codes) ?? codes.find((candidate) => candidate.startsWith(code));
  throw new CliError(`There is no error code ${text}.`, {
    exit: EXIT.notFound,
    hints: [...(near === undefined ? [] : [`Did you mean ${near}?`]), "`npx colibri explain` lists all of them."],
  });
}

function renderOne({ code, status, fault, retry, meaning, remedy }: Entry, style: Style): string {
  const facts = [
    ["meaning", meaning],
    ["what to do", remedy],
    ["whose fault", FAULTS[fault]],
    ["try again", retry ? "may help: the same request can succeed later" : "does not help by itself"],
    ["status", String(status)],
  ] as const;
  return `${style("bold", code)}\n\n${renderFacts(facts, style)}`;
}

function renderAll(entries: readonly Entry[], style: Style): string {
  const rows = entries.map(({ code, status, retry, meaning }) => [code, String(status), retry ? "yes" : "no", meaning]);
  return renderTable(["CODE", "STATUS", "RETRY", "MEANING"], rows, style);
}
