// What was meant to be temporary: leftover marks, focused tests, switched-off checks.
import { type File, type Finding, finding, isFixture, isScript, isTest, type Span, scan } from "./source.ts";

type Mark = { pattern: RegExp; message: string };

const IN_COMMENTS: Mark[] = [
  { pattern: /\b(?:TODO|FIXME|XXX|HACK)\b/g, message: "a leftover mark: do it now, or open an issue" },
  {
    pattern: /@ts-(?:ignore|nocheck)\b/g,
    message: "types are switched off: fix the type, or @ts-expect-error with a reason",
  },
  {
    pattern: /\bbiome-ignore(?:-all|-start)?\b(?!-)(?!\s+[\w/]+(?:\([^)]*\))?:\s*[^\s<].{9})/g,
    message: "biome-ignore without a reason: `biome-ignore lint/…: why it is right here`",
  },
];
const IN_CODE: Mark[] = [{ pattern: /\bas\s+any\b/g, message: "`as any`: say what it is, or validate it" }];
const IN_TESTS: Mark[] = [
  { pattern: /\b(?:test|it|describe|suite)\s*\.\s*only\s*\(/g, message: "a focused test hides all others" },
  { pattern: /\bonly\s*:\s*true\b/g, message: "a focused test hides all others" },
];
// Languages whose comments are not told apart: their whole text is looked at.
const WHOLE_TEXT = /\.(?:md|py|sh|ya?ml|toml|sql|go|java|html|css)$/;

export function checkMarks(files: File[]): Finding[] {
  return files.filter((file) => !isFixture(file.path)).flatMap(marksIn);
}

function marksIn(file: File): Finding[] {
  if (!isScript(file.path))
    return WHOLE_TEXT.test(file.path) ? search(file, [whole(file)], IN_COMMENTS.slice(0, 1)) : [];
  const { code, comments } = scan(file);
  const inCode = isTest(file.path) ? [...IN_CODE, ...IN_TESTS] : IN_CODE;
  return [...search(file, comments, IN_COMMENTS), ...search(file, [{ start: 0, text: code }], inCode)];
}

function search(file: File, spans: Span[], marks: Mark[]): Finding[] {
  return spans.flatMap(({ start, text }) =>
    marks.flatMap(({ pattern, message }) =>
      [...text.matchAll(pattern)].map((match) => finding(file, start + match.index, `${match[0].trim()}: ${message}`)),
    ),
  );
}

function whole(file: File): Span {
  return { start: 0, text: file.text };
}
