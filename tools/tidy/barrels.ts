// A file of nothing but re-exports hides where a thing lives; only a port's or a service's front may be one.
import { type File, type Finding, finding, isFixture, scan } from "./source.ts";
import { SERVICES } from "./walls.ts";

const FRONT = new RegExp(`^platform/src/(ports/[^/]+|${SERVICES.join("|")})/index\\.ts$`);
const REEXPORT =
  /\b(?:export\s+(?:type\s+)?(?:\*(?:\s+as\s+[\w$]+)?|\{[^}]*\})\s*(?:from\s*["']\s*["'])?|import\b[^;]*);?/g;

export function checkBarrels(files: File[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files) {
    if (!/\.tsx?$/.test(file.path) || isFixture(file.path) || FRONT.test(file.path)) continue;
    const { code } = scan(file);
    if (!/\bexport\b/.test(code) || code.replace(REEXPORT, "").trim() !== "") continue;
    findings.push(
      finding(file, 0, "only re-exports: import from where it lives (a port's or service's index.ts is the exception)"),
    );
  }
  return findings;
}
