import { asTyped, type Where } from "#base/own-command.ts";
import { count } from "#contract/count.ts";
import { printable } from "../output/printable.ts";
import { quoted } from "../output/quoted.ts";
import type { Style } from "../output/style.ts";
import { CASE_FILE } from "../testing/case-file.ts";
import { firstCalls } from "../testing/first-call.ts";
import type { Contents } from "./contents.ts";
import type { Picked, Place } from "./wish.ts";

export interface Created extends Place {
  readonly contents: Contents;
  readonly picked: Picked;
}

export function describeCreated({ name, folder, contents, picked }: Created): object {
  return {
    app: name,
    folder,
    template: picked.variant?.template ?? picked.shown,
    ...(picked.variant && { language: picked.variant.language }),
    functions: Object.keys(contents.config.functions),
    files: contents.entries.map(({ path }) => path),
  };
}

/** What was made, and the commands that come next. */
export function renderCreated(created: Created, style: Style, at: Where): string {
  const { name, shown, contents, picked } = created;
  const here = shown === "." ? "" : ` ${quoted(shown)}`;
  const where = shown === "." ? "this folder" : printable(shown);
  const made = `Created app ${name} in ${where} from ${printable(picked.shown)}: ${count(contents.entries.length, "file")}.`;
  const has = (file: string): boolean => contents.entries.some(({ path }) => path === file);
  const next = [
    ...(has(CASE_FILE) ? [`npx colibri test${here}`] : []),
    `npx colibri dev${here}`,
    `npx colibri deploy${here}`,
    ...firstCall(created),
  ];
  const commands = next.map((line) => `  ${asTyped(line, at)}\n`).join("");
  const readme = has("README.md")
    ? `${shown === "." ? "" : `${printable(shown)}/`}README.md says what it does and what to change first.\n`
    : "";
  return `${style("green", "✓")} ${made}\n\nNext:\n${commands}\n${readme}`;
}

/** Of the function whose cases come first. */
function firstCall({ name, folder, shown, contents }: Created): string[] {
  const calls = firstCalls({ folder, shown, app: name, config: contents.config });
  return [...calls.values()].slice(0, 1);
}
