// Reads TypeScript and JavaScript just far enough for the checks: where comments and strings are, what is imported.
// TypeScript 7 offers no parser to call in-process, and a scanner of this size keeps the whole of tidy well under a second.

/** A file of the repository: path relative to its root, with forward slashes. `text` is empty for binary files. */
export type File = { path: string; text: string };

/** What a check has to say about one line; lines count from 1. */
export type Finding = { path: string; line: number; message: string };

export type Span = { start: number; text: string };

/** `code` is the text with the contents of comments, strings and regular expressions blanked, offsets unchanged. */
export type Source = { code: string; comments: Span[]; strings: Span[] };

export type Import = { start: number; specifier: string; typeOnly: boolean };

const scanned = new WeakMap<File, Source>();

export function scan(file: File): Source {
  let source = scanned.get(file);
  if (!source) {
    source = scanText(file.text);
    scanned.set(file, source);
  }
  return source;
}

export function isScript(path: string): boolean {
  return /\.[mc]?[jt]sx?$/.test(path) || path.startsWith("bin/");
}

/** Tests, and what only they use: suites, fixtures, benches. */
export function isTest(path: string): boolean {
  return (
    /(?:^|[./])(?:test|fixture|bench)\.(?:ts|mjs)$/.test(path) ||
    /\/(?:testing|fixture)\//.test(path) ||
    /^platform\/src\/ports\/[^/]+\/conformance\.ts$/.test(path)
  );
}

/** Input for tests, kept as it is whatever our rules say. */
export function isFixture(path: string): boolean {
  return path.startsWith("test/fixtures/") || path.includes("/vectors/");
}

export function finding(file: File, offset: number, message: string): Finding {
  let line = 1;
  for (let at = file.text.indexOf("\n"); at !== -1 && at < offset; at = file.text.indexOf("\n", at + 1)) line++;
  return { path: file.path, line, message };
}

const IMPORT = /\b(?:import|export)\b(\s+type\b(?!\s*(?:,|from\b)))?[\w$\s{},*]*?\bfrom\s*["']|\bimport\s*\(?\s*["']/g;

/** Every static, dynamic and re-exporting import. `import { type A }` still loads the module, so it is not type only. */
export function importsOf(file: File): Import[] {
  const { code, strings } = scan(file);
  const byStart = new Map(strings.map((string) => [string.start, string.text]));
  return [...code.matchAll(IMPORT)].map((match) => ({
    start: match.index,
    specifier: byStart.get(match.index + match[0].length) ?? "",
    typeOnly: match[1] !== undefined,
  }));
}

const STRING_END = { "'": /(?:[^'\\\n]|\\[\s\S])*/y, '"': /(?:[^"\\\n]|\\[\s\S])*/y };
const REGEX = /(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/y;
const TEMPLATE = /(?:[^`\\$]|\\[\s\S]|\$(?!\{))*/y;
const TOKEN = /\/\/.*|\/\*[\s\S]*?\*\/|["'`/{}]|[\w$]+|[^\s\w$]/g;
// After these a slash begins a regular expression; after a value it divides.
const BEFORE_REGEX = /^(?:[([{},;:?=!&|+*%<>~^-]|return|typeof|case|in|of|do|else|void|delete|await|yield)$/;

function scanText(text: string): Source {
  const source: Source = { code: "", comments: [], strings: [] };
  const blanks: Array<[from: number, to: number]> = [];
  // One entry per open template literal: how many braces of its `${…}` are open.
  const templates: number[] = [];
  const token = new RegExp(TOKEN);
  let previous = ";";

  const take = (pattern: RegExp, from: number, kept: Span[]): number => {
    pattern.lastIndex = from;
    const taken = pattern.exec(text)?.[0] ?? "";
    kept.push({ start: from, text: taken });
    blanks.push([from, from + taken.length]);
    return from + taken.length;
  };
  const takeTemplate = (from: number): number => {
    const end = take(TEMPLATE, from, source.strings);
    if (text[end] === "$") templates.push(0);
    return text[end] === "$" ? end + 2 : end + 1;
  };

  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [found] = match;
    const after = match.index + found.length;
    const braces = templates.at(-1);
    if (found.startsWith("//") || found.startsWith("/*")) {
      source.comments.push({ start: match.index, text: found });
      blanks.push([match.index, after]);
      continue;
    }
    if (found === '"' || found === "'") token.lastIndex = take(STRING_END[found], after, source.strings) + 1;
    else if (found === "`") token.lastIndex = takeTemplate(after);
    else if (found === "/" && BEFORE_REGEX.test(previous)) token.lastIndex = take(REGEX, after, []) + 1;
    else if (found === "}" && braces === 0) {
      templates.pop();
      token.lastIndex = takeTemplate(after);
    } else if (braces !== undefined && found === "{") templates[templates.length - 1] = braces + 1;
    else if (braces !== undefined && found === "}") templates[templates.length - 1] = braces - 1;
    previous = found;
  }
  source.code = blank(text, blanks);
  return source;
}

function blank(text: string, spans: Array<[from: number, to: number]>): string {
  let code = "";
  let done = 0;
  for (const [from, to] of spans) {
    code += text.slice(done, from) + text.slice(from, to).replace(/[^\n]/g, " ");
    done = to;
  }
  return code + text.slice(done);
}
