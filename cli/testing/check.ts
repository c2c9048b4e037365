import { createHash } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { isObject } from "#contract/shape.ts";
import type { Expectation } from "./case.ts";
import { match, PATTERN_MS } from "./pattern.ts";

/** What came. */
export interface CaseAnswer {
  readonly status: number;
  /** Names in lower case; of the same name the values are joined. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
  /** From the request to the end of the answer, less a cold start. */
  readonly tookMs: number;
}

const SHOWN_DIFFERENCES = 12;
const SHOWN_VALUE = 160;

/** What is not as it was expected, a line or more each; empty when all is. `file` is what `expect.file` names. */
export function checkAnswer(expect: Expectation, answer: CaseAnswer, file: Buffer | undefined): string[] {
  return [
    ...checkStatus(expect, answer),
    ...checkHeaders(expect, answer),
    ...checkJson(expect, answer),
    ...checkText(expect, answer),
    ...checkBytes(expect, answer, file),
    ...(expect.maxMs !== undefined && answer.tookMs > expect.maxMs
      ? [`maxMs: expected at most ${expect.maxMs} ms, took ${answer.tookMs.toFixed(1)} ms`]
      : []),
  ];
}

function checkStatus({ status, error }: Expectation, answer: CaseAnswer): string[] {
  const code = answer.headers["colibri-error-code"];
  const told = code === undefined ? "" : ` (${code}: ${answer.headers["colibri-error-message"] ?? ""})`;
  const problems: string[] = [];
  if (error !== undefined && code !== error)
    problems.push(`error: expected ${error}, got ${code ?? `none, status ${answer.status}`}`);
  if (status !== undefined && answer.status !== status)
    problems.push(`status: expected ${status}, got ${answer.status}${told}`);
  if (status === undefined && error === undefined && answer.status >= 400)
    problems.push(`status: expected less than 400, got ${answer.status}${told}`);
  return problems;
}

function checkHeaders({ headers }: Expectation, answer: CaseAnswer): string[] {
  return Object.entries(headers).flatMap(([name, wanted]) => {
    const got = answer.headers[name];
    const what = `header ${name}: expected ${wanted instanceof RegExp ? `/${wanted.source}/` : wanted}, got`;
    if (got === undefined) return [`${what} none`];
    if (!(wanted instanceof RegExp)) return got === wanted ? [] : [`${what} ${got}`];
    return checkPattern(wanted, got, `header ${name}`, `${what} ${got}`);
  });
}

function checkPattern(pattern: RegExp, got: string, what: string, different: string): string[] {
  switch (match(pattern, got)) {
    case "matches":
      return [];
    case "differs":
      return [different];
    case "too slow":
      return [
        `${what}: ${pattern.source} was given up after ${PATTERN_MS / 1_000} s on ${shown(got)}: write it without repetitions in repetitions, such as (a+)+`,
      ];
  }
}

function checkJson({ json, contains }: Expectation, { body }: CaseAnswer): string[] {
  if (json === undefined && contains === undefined) return [];
  let got: unknown;
  try {
    got = JSON.parse(body.toString("utf8"));
  } catch {
    return [`json: the answer is not JSON: ${shown(body.toString("utf8"))}`];
  }
  return [
    ...(json === undefined ? [] : told("json", differences(json.value, got, "", "same"))),
    ...(contains === undefined ? [] : told("contains", differences(contains.value, got, "", "contained"))),
  ];
}

function told(what: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const more = lines.length > SHOWN_DIFFERENCES ? [`  and ${lines.length - SHOWN_DIFFERENCES} more`] : [];
  return [[`${what}:`, ...lines.slice(0, SHOWN_DIFFERENCES).map((line) => `  ${line}`), ...more].join("\n")];
}

/** `contained`: of maps only the keys that are expected; lists have the same length. */
export function differences(wanted: unknown, got: unknown, path: string, how: "same" | "contained"): string[] {
  const where = path === "" ? "the answer" : path;
  if (Array.isArray(wanted) && Array.isArray(got)) {
    const items = wanted.flatMap((item, index) =>
      index < got.length ? differences(item, got[index], `${path}[${index}]`, how) : [],
    );
    const length = wanted.length === got.length ? [] : [`${where}: expected ${wanted.length} items, got ${got.length}`];
    return [...length, ...items];
  }
  if (isObject(wanted) && isObject(got)) return differentKeys(wanted, got, path, how);
  return isDeepStrictEqual(wanted, got) ? [] : [`${where}: expected ${shown(wanted)}, got ${shown(got)}`];
}

function differentKeys(
  wanted: Record<string, unknown>,
  got: Record<string, unknown>,
  path: string,
  how: "same" | "contained",
): string[] {
  const pathOf = (key: string) =>
    /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
  const missing = Object.keys(wanted).flatMap((key) =>
    Object.hasOwn(got, key)
      ? differences(wanted[key], got[key], pathOf(key), how)
      : [`${pathOf(key)}: expected ${shown(wanted[key])}, is not there`],
  );
  if (how === "contained") return missing;
  const extra = Object.keys(got).filter((key) => !Object.hasOwn(wanted, key));
  return [...missing, ...extra.map((key) => `${pathOf(key)}: is ${shown(got[key])}, and was not expected`)];
}

function checkText({ text, matches }: Expectation, { body }: CaseAnswer): string[] {
  const got = body.toString("utf8");
  return [
    ...(text === undefined || text === got ? [] : [`text: expected ${shown(text)}, got ${shown(got)}`]),
    ...(matches === undefined
      ? []
      : checkPattern(matches, got, "matches", `matches: ${matches.source} does not match ${shown(got)}`)),
  ];
}

function checkBytes({ file, sha256 }: Expectation, { body }: CaseAnswer, wanted: Buffer | undefined): string[] {
  const digest = createHash("sha256").update(body).digest("hex");
  const at = wanted === undefined ? -1 : firstDifference(wanted, body);
  return [
    ...(at < 0
      ? []
      : [
          `file: the answer (${body.length} bytes) is not ${file} (${wanted!.length} bytes): they differ from byte ${at} on`,
        ]),
    ...(sha256 === undefined || sha256 === digest
      ? []
      : [`sha256: expected ${sha256}, got ${digest} (${body.length} bytes)`]),
  ];
}

/** -1 when there is none. */
function firstDifference(a: Buffer, b: Buffer): number {
  if (a.equals(b)) return -1;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) if (a[index] !== b[index]) return index;
  return length;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > SHOWN_VALUE ? `${text.slice(0, SHOWN_VALUE)}…` : text;
}
