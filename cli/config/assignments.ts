import { variableProblem } from "#contract/config/environment.ts";
import { CliError, usageError } from "../failure.ts";

export type Environment = Readonly<Record<string, string>>;

/** `KEY=VALUE` each, as on a command line. */
export function parseAssignments(texts: readonly string[]): Environment {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf("=");
      if (at === -1) throw usageError(`"${text}" sets nothing: write KEY=VALUE, such as REGION=north.`);
      return checked(text.slice(0, at), text.slice(at + 1), (problem) => usageError(problem));
    }),
  );
}

const LINE = /^\s*(?:export\s+)?([^\s=]+)\s*=\s*(.*)$/;

/**
 * The lines of a `.env` file: `KEY=VALUE`, comments, `export` before a key, values in quotes. In double quotes `\n`, `\"` and `\\`
 * are what they are elsewhere; in single ones nothing is special. A value ends with its line.
 */
export function parseEnvFile(text: string, name: string): Environment {
  const entries = text.split(/\r\n|\r|\n/).flatMap((line, index) => {
    if (/^\s*(?:#|$)/.test(line)) return [];
    const wrong = (problem: string): CliError => new CliError(`${name}:${index + 1}: ${problem}`);
    const [, key, value] = LINE.exec(line) ?? [];
    if (key === undefined || value === undefined) throw wrong("is no KEY=VALUE; comments begin with #");
    return [checked(key, unquoted(value, wrong), wrong)];
  });
  if (entries.length === 0) throw new CliError(`${name} sets nothing.`);
  return Object.fromEntries(entries);
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", '"': '"', "\\": "\\", $: "$" };

function unquoted(value: string, wrong: (problem: string) => CliError): string {
  const quote = value[0];
  if (quote !== '"' && quote !== "'") return value.replace(/\s+#.*$/, "").trimEnd();
  const inside = quote === "'" ? /^'([^']*)'\s*(?:#.*)?$/ : /^"((?:[^"\\]|\\.)*)"\s*(?:#.*)?$/;
  const found = inside.exec(value)?.[1];
  if (found === undefined) throw wrong(`has a value that begins with ${quote} and does not end with it on this line`);
  return quote === "'" ? found : found.replace(/\\(.)/g, (all, letter: string) => ESCAPES[letter] ?? all);
}

function checked(key: string, value: string, wrong: (problem: string) => CliError): [string, string] {
  const problem = variableProblem(key, value);
  // The value is left out of the message: it may be a secret.
  if (problem !== undefined) throw wrong(`${key || '""'} ${problem}`);
  return [key, value];
}
