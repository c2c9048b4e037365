// Time, chance, environment and console come in as deps, so that the simulation can drive everything from one seed.
import { type File, type Finding, finding, importsOf, isFixture, isScript, isTest, scan } from "./source.ts";

type Ambient = { pattern: RegExp; name: string; instead: string };

const CLOCK: Ambient[] = [
  { pattern: /\bDate\s*\.\s*now\b/g, name: "Date.now", instead: "clock" },
  { pattern: /\bnew\s+Date\s*(?:\(\s*\)|;)/g, name: "new Date()", instead: "clock" },
  { pattern: /\bperformance\s*\.\s*now\b/g, name: "performance.now", instead: "clock" },
  { pattern: /\bprocess\s*\.\s*hrtime\b/g, name: "process.hrtime", instead: "clock" },
];
const TIMERS: Ambient[] = [
  {
    pattern: /(?<![.\w$#])(?:globalThis\s*\.\s*)?(?:setTimeout|setInterval|setImmediate)\b/g,
    name: "a global timer",
    instead: "clock",
  },
  { pattern: /\bAbortSignal\s*\.\s*timeout\b/g, name: "AbortSignal.timeout", instead: "clock" },
];
const OTHERS: Ambient[] = [
  { pattern: /\bMath\s*\.\s*random\b/g, name: "Math.random", instead: "random" },
  {
    pattern: /\bcrypto\s*\.\s*(?:random\w+|getRandomValues)|(?<![.\w$])random(?:Bytes|UUID|Int|Fill|FillSync)\b/g,
    name: "randomness of node:crypto",
    instead: "random",
  },
  { pattern: /\bprocess\s*\.\s*env\b/g, name: "process.env", instead: "options" },
  { pattern: /(?<![.\w$#])(?:globalThis\s*\.\s*)?console\s*\./g, name: "console", instead: "log" },
];
const TIMER_MODULES = /^(?:node:)?timers(?:\/promises)?$/;

const FREE = /^platform\/src\/(?:base|main)\//;
const BOUND = /^(?:contract|platform\/src)\//;

export function checkAmbient(files: File[]): Finding[] {
  return files
    .filter((file) => isScript(file.path) && !isFixture(file.path) && BOUND.test(file.path) && !FREE.test(file.path))
    .flatMap((file) => {
      if (!isTest(file.path)) return [...usesOf(file, [...CLOCK, ...TIMERS, ...OTHERS]), ...timerImports(file)];
      // A timer in a test of pure code is a sleep that hopes.
      return file.path.startsWith("platform/src/domain/") ? [...usesOf(file, TIMERS), ...timerImports(file)] : [];
    });
}

function usesOf(file: File, ambients: Ambient[]): Finding[] {
  const { code } = scan(file);
  return ambients.flatMap(({ pattern, name, instead }) =>
    [...code.matchAll(pattern)].map((match) =>
      finding(file, match.index, `${name} stays in base and main: take \`${instead}\``),
    ),
  );
}

function timerImports(file: File): Finding[] {
  return importsOf(file)
    .filter(({ specifier }) => TIMER_MODULES.test(specifier))
    .map(({ start }) => finding(file, start, "node:timers stays in base and main: take `clock`"));
}
