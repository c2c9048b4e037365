// Finds functions and their length without a parser: a body is a block after `=>`, or after `(…)` with an optional return type.
import { type File, scan } from "./source.ts";

/**
 * `lines` leaves out the named functions, methods and tests inside, each of which is measured by itself, and the callbacks of
 * `describe` and `suite`: those are lists of tests.
 */
export type FunctionSpan = { name: string; start: number; lines: number };

/** Masked code, and for each opening bracket the offset of the one that closes it. */
type Code = { text: string; ends: Map<number, number> };
type Body = { start: number; open: number; named: boolean };

const PAIRS: Record<string, string> = { ")": "(", "]": "[", "}": "{" };
const STATEMENTS = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
const GROUP =
  /\b(?:describe|suite)(?:\.\w+)?\s*\(\s*["'`][^"'`]*["'`]\s*,\s*(?:\{[^}]*\}\s*,\s*)?(?:async\s*)?\(\w*\)\s*=>\s*\{/g;
/** A test within a function that lists tests: the list may be long, each test may not. */
const TEST =
  /\b(?:test|it)(?:\.\w+)?\s*\(\s*(?:"[^"]*"|'[^']*'|`[^`]*`|[^,(){}]+)\s*,\s*(?:\{[^}]*\}\s*,\s*)?(?:async\s*)?\(\w*\)\s*=>\s*\{/g;
const TYPE_OPERATOR = /[|&?:]|=>|\b(?:is|extends|readonly|keyof|typeof|asserts|unique|infer|new)\b/y;
const TYPE_WORD = /[\w$.]+|["'`][^"'`]*["'`]/y;

export function functionsOf(file: File): FunctionSpan[] {
  const code = withEnds(scan(file).code);
  const groups = new Set([...code.text.matchAll(GROUP)].map((match) => match.index + match[0].length - 1));
  const bodies = bodiesOf(code);
  const tests = [...code.text.matchAll(TEST)].map((match) => match.index + match[0].length - 1);
  const apart = [...groups, ...tests, ...bodies.filter(({ named }) => named).map(({ open }) => open)];
  return bodies
    .filter(({ open }) => !groups.has(open))
    .map(({ start, open }) => ({
      name: nameBefore(code.text, start),
      start,
      lines: linesIn(code, start, open) + 1 - linesApart(code, open, apart),
    }));
}

/** Lines of the outermost among `apart` that lie inside the block at `open`. */
function linesApart(code: Code, open: number, apart: number[]): number {
  const end = code.ends.get(open) ?? open;
  let past = open;
  let lines = 0;
  for (const inner of apart.filter((at) => at > open && at < end).sort((a, b) => a - b)) {
    if (inner < past) continue;
    lines += linesIn(code, inner, inner);
    past = code.ends.get(inner) ?? inner;
  }
  return lines;
}

export function pythonFunctionsOf(file: File): FunctionSpan[] {
  return [...file.text.matchAll(/^([ \t]*)(?:async[ \t]+)?def[ \t]+(\w+)/gm)].map((match) => {
    const [head, indent = "", name = ""] = match;
    const body = file.text.slice(match.index + head.length);
    // The next line as shallow as the `def`, unless it closes the brackets of the parameters.
    const next = body.search(new RegExp(`\\n[ \\t]{0,${indent.length}}[^\\s)\\]]`));
    const whole = head + (next === -1 ? body : body.slice(0, next));
    return { name, start: match.index, lines: whole.trimEnd().split("\n").length };
  });
}

function withEnds(text: string): Code {
  const ends = new Map<number, number>();
  const open: number[] = [];
  for (const { 0: bracket, index } of text.matchAll(/[()[\]{}]/g)) {
    const wanted = PAIRS[bracket];
    if (!wanted) open.push(index);
    else if (text[open.at(-1) ?? -1] === wanted) ends.set(open.pop() ?? 0, index);
  }
  return { text, ends };
}

function bodiesOf(code: Code): Body[] {
  const bodies: Body[] = [];
  for (const { index, 0: arrow } of code.text.matchAll(/=>\s*\{/g)) {
    bodies.push({ start: index, open: index + arrow.length - 1, named: false });
  }
  for (const [start, end] of code.ends) {
    const before = /([\w$]+)\s*$/.exec(code.text.slice(Math.max(0, start - 20), start))?.[1];
    if (code.text[start] !== "(" || STATEMENTS.has(before ?? "")) continue;
    let at = skipSpace(code.text, end + 1);
    if (code.text[at] === ":") at = skipType(code, at + 1);
    if (code.text[at] === "{") bodies.push({ start, open: at, named: before !== undefined && before !== "function" });
  }
  return bodies;
}

/** Past a return type: operands joined by operators, where a brace at an operand's place belongs to the type. */
function skipType({ text, ends }: Code, from: number): number {
  let at = skipSpace(text, from);
  let wantsOperand = true;
  for (;;) {
    const bracket = text[at] ?? "";
    const operator = lengthAt(TYPE_OPERATOR, text, at);
    if (operator > 0) {
      wantsOperand = true;
      at += operator;
    } else if (bracket === "[" || (wantsOperand && (bracket === "{" || bracket === "("))) {
      wantsOperand = false;
      at = (ends.get(at) ?? at) + 1;
    } else if (bracket === "<") at = skipGenerics(text, at);
    else if (wantsOperand && lengthAt(TYPE_WORD, text, at) > 0) {
      wantsOperand = false;
      at += lengthAt(TYPE_WORD, text, at);
    } else return at;
    at = skipSpace(text, at);
  }
}

function skipGenerics(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at++) {
    if (text[at] === "<") depth++;
    if (text[at] === ">" && text[at - 1] !== "=" && --depth === 0) return at + 1;
  }
  return text.length;
}

function lengthAt(sticky: RegExp, text: string, at: number): number {
  sticky.lastIndex = at;
  return sticky.exec(text)?.[0].length ?? 0;
}

function skipSpace(text: string, from: number): number {
  const ink = /\S/g;
  ink.lastIndex = from;
  return ink.exec(text)?.index ?? text.length;
}

function linesIn({ text, ends }: Code, start: number, open: number): number {
  return text.slice(start, ends.get(open)).split("\n").length - 1;
}

function nameBefore(text: string, start: number): string {
  const line = text.slice(text.lastIndexOf("\n", start - 1) + 1, start);
  const name = /([\w$]+)\s*(?:<[^>]*>)?\s*$/.exec(line)?.[1] ?? /\b(?:const|let|function)\s+([\w$]+)/.exec(line)?.[1];
  return name && !["function", "async", "constructor"].includes(name) ? name : "this function";
}
