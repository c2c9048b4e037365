// Sources nothing leads to. A file is reached from an entry point by imports, or by a string that says a path, as in
// `new URL("./worker.ts", import.meta.url)` or `join(root, "cli", "main.ts")`; a mere name, as in `"main.ts"`, leads nowhere.
import { posix } from "node:path";
import { resolveImport } from "./paths.ts";
import { type File, type Finding, finding, importsOf, isFixture, isScript, type Source, scan } from "./source.ts";

type EntryRow = { entry: RegExp; why: string };

const ENTRIES: EntryRow[] = [
  { entry: /^package\.json$/, why: "npm runs its scripts" },
  { entry: /^bin\//, why: "what npx and a shell start" },
  { entry: /\.test\.ts$/, why: "node --test finds them" },
  { entry: /(?:^|[./])bench\.ts$/, why: "run by hand" },
  { entry: /^examples\//, why: "users' code, deployed by folder" },
  { entry: /^sdk\/[^/]+\/index\.ts$/, why: "what user code imports" },
  { entry: /^tools\/write-[^/]+\.ts$/, why: "run by hand, writes the pages that are generated" },
];

export function checkDead(files: File[]): Finding[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const waiting = files.filter((file) => ENTRIES.some(({ entry }) => entry.test(file.path)));
  const alive = new Set(waiting);
  for (let file = waiting.pop(); file; file = waiting.pop()) {
    for (const path of pathsNamedIn(file)) {
      const named = byPath.get(path);
      if (!named || alive.has(named)) continue;
      alive.add(named);
      waiting.push(named);
    }
  }
  return files
    .filter((file) => isSource(file.path) && !alive.has(file))
    .map((file) =>
      finding(file, 0, "nothing imports this file: remove it, or name its entry point in tools/tidy/dead.ts"),
    );
}

function isSource(path: string): boolean {
  return /\.tsx?$/.test(path) && !path.endsWith(".d.ts") && !isFixture(path);
}

function pathsNamedIn(file: File): string[] {
  if (file.path === "package.json") return scriptWords(file.text);
  if (!isScript(file.path)) return [];
  const imported = importsOf(file).map(({ specifier }) => resolveImport(file.path, specifier) ?? "");
  return [...imported, ...namedByStrings(file)];
}

function namedByStrings(file: File): string[] {
  const folder = posix.dirname(file.path);
  return stringRows(scan(file))
    .map((row) => row.join("/"))
    .filter((path) => path.includes("/"))
    .flatMap((path) => [posix.normalize(path), posix.join(folder, path)]);
}

/** String literals, those side by side in a call together: they are parts of one path. */
function stringRows({ code, strings }: Source): string[][] {
  const rows: string[][] = [];
  let end = 0;
  for (const { start, text } of strings) {
    if (/^["'`]\s*,\s*["'`]$/.test(code.slice(end, start))) rows.at(-1)?.push(text);
    else rows.push([text]);
    end = start + text.length;
  }
  return rows;
}

function scriptWords(manifest: string): string[] {
  return Object.values<string>(JSON.parse(manifest).scripts ?? {}).flatMap((script) => script.split(/\s+/));
}
