// Exports that nobody imports and members that nobody names. By names, without types: what it finds is unused for certain, and
// what shares its name with something used is not found.
import { resolveImport } from "./paths.ts";
import { type File, type Finding, finding, importsOf, isFixture, isScript, scan } from "./source.ts";

const VALUE = /^export (?:async )?(?:function\*?|class|const|let) ([\w$]+)/gm;
const TYPE = /^export (?:interface|type) ([\w$]+)/gm;
const IMPORTED = /^(?:import|export)(?:\s+type)?\s*(?:[\w$]+\s*,\s*)?\{([^}]*)\}\s*from/;
/** Formatted code: members of a class or an interface stand two spaces in, and its end at the margin. */
const BODY = /^(?:export )?(?:abstract )?(?:class|interface) [^\n]*\{\n[\s\S]*?^\}/gm;
const MEMBER =
  /^ {2}((?:(?:static|readonly|async|override|get|set|abstract) )*)\*?([A-Za-z_$][\w$]*)\??(?=\(|:|<| =|;)/gm;
/** `a.name`, and `{ name }`, `{ name: other }` or `{ name = 1 }`, whichever side of an assignment they stand on. */
const NAMED = /\.\s*([A-Za-z_$][\w$]*)|[{,]\s*([A-Za-z_$][\w$]*)\s*(?=[,}=:])/g;
const WORD = /[A-Za-z_$][\w$]*/g;

/** Called by the language. */
const HOOKS = new Set(["constructor", "toJSON", "then"]);
// Users' code: the platform calls it.
const CALLED_FROM_OUTSIDE = /^(?:examples|sdk|bench\/function)\//;

export function checkUnused(files: File[]): Finding[] {
  const scripts = files.filter((file) => isScript(file.path) && !isFixture(file.path));
  const ours = scripts.filter((file) => !CALLED_FROM_OUTSIDE.test(file.path));
  const imported = importedNames(scripts);
  const named = namedWords(scripts);
  const counted = countedWords(scripts);
  return ours.flatMap((file) => [
    ...unusedValues(file, imported),
    ...unusedTypes(file, counted),
    ...unusedMembers(file, named),
  ]);
}

function unusedValues(file: File, imported: ReadonlySet<string>): Finding[] {
  if (imported.has(`${file.path} *`)) return [];
  return [...scan(file).code.matchAll(VALUE)]
    .filter(([, name]) => !imported.has(`${file.path} ${name}`))
    .map(({ index, 1: name }) => finding(file, index, `nothing imports "${name}": do not export it, or remove it`));
}

/** A type may be exported for those who call what it describes, but not be there for nothing. */
function unusedTypes(file: File, counted: ReadonlyMap<string, number>): Finding[] {
  return [...scan(file).code.matchAll(TYPE)]
    .filter(([, name]) => counted.get(name ?? "") === 1)
    .map(({ index, 1: name }) => finding(file, index, `nothing names the type "${name}": remove it`));
}

function unusedMembers(file: File, named: ReadonlySet<string>): Finding[] {
  const findings: Finding[] = [];
  for (const { 0: body, index } of scan(file).code.matchAll(BODY)) {
    for (const { 1: modifiers = "", 2: name = "", index: at } of body.matchAll(MEMBER)) {
      if (HOOKS.has(name) || modifiers.includes("override") || named.has(name)) continue;
      findings.push(finding(file, index + at, `nothing names the member "${name}": remove it`));
    }
  }
  return findings;
}

/** `path name` for each name that is imported from that path, `path *` where all may be. */
function importedNames(files: File[]): Set<string> {
  const names = new Set<string>();
  for (const file of files) {
    for (const { start, specifier } of importsOf(file)) {
      const target = resolveImport(file.path, specifier);
      const braces = IMPORTED.exec(scan(file).code.slice(start))?.[1];
      for (const part of braces?.split(",") ?? ["*"]) {
        const name = part
          .trim()
          .replace(/^type\s+/, "")
          .split(/\s/)[0];
        names.add(`${target} ${name}`);
      }
    }
  }
  return names;
}

function namedWords(files: File[]): Set<string> {
  const words = new Set<string>();
  for (const file of files) {
    const { code, strings } = scan(file);
    for (const [, member, key] of code.matchAll(NAMED)) words.add(member ?? key ?? "");
    // A key of a record, a part of a path to a field.
    for (const { text } of strings) for (const [word] of text.matchAll(WORD)) words.add(word);
  }
  return words;
}

function countedWords(files: File[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const file of files)
    for (const [word] of scan(file).code.matchAll(WORD)) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}
