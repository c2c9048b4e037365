import { count } from "#contract/count.ts";
import type { Style } from "../output/style.ts";
import { showBytes } from "../output/units.ts";
import type { Shipped } from "./shipped.ts";

/** What a function would ship. */
export interface FunctionReport {
  readonly function: string;
  readonly runtime: string;
  readonly handler: string;
  readonly digest: string;
  /** Of the bundle. */
  readonly bytes: number;
  /** Of the files in it. */
  readonly fileBytes: number;
  readonly files: number;
  readonly contents: readonly Shipped[];
  /** Left out by ignore rules. */
  readonly ignored: readonly string[];
  readonly warnings: readonly string[];
}

const SHOWN = 15;
const SHOWN_IGNORED = 8;

export function renderReport(report: FunctionReport, showAll: boolean, style: Style): string {
  const { contents, ignored } = report;
  const shown = showAll ? contents : contents.slice(0, SHOWN);
  const rest = contents.slice(shown.length);
  const lines = shown.map(({ name, bytes, files, isPackage }) =>
    sized(bytes, isPackage ? `${name} ${style("dim", `(${count(files, "file")})`)}` : name),
  );
  if (rest.length > 0) lines.push(sized(sum(rest), style("dim", `${rest.length} more, shown by --verbose`)));
  lines.push(sized(report.fileBytes, style("bold", `in all, ${count(report.files, "file")}`)));
  return [
    `${style("bold", report.function)}  ${report.runtime}  ${report.handler}`,
    ...lines,
    `  bundle   ${showBytes(report.bytes)}, ${report.digest}`,
    ...(ignored.length > 0 ? [`  left out ${listed(ignored, showAll ? ignored.length : SHOWN_IGNORED)}`] : []),
    ...report.warnings.map((warning) => `  ${style("yellow", "warning:")} ${warning}`),
    "",
  ].join("\n");
}

function sized(bytes: number, text: string): string {
  return `  ${showBytes(bytes).padStart(10)}  ${text}`;
}

function sum(contents: readonly Shipped[]): number {
  return contents.reduce((total, { bytes }) => total + bytes, 0);
}

function listed(names: readonly string[], most: number): string {
  const more = names.length > most ? ` and ${names.length - most} more` : "";
  return names.slice(0, most).join(", ") + more;
}
