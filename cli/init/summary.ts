import { count } from "#contract/count.ts";
import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";
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
export function renderCreated({ name, shown, contents, picked }: Created, style: Style): string {
  const here = shown === "." ? "" : ` ${quoted(shown)}`;
  const where = shown === "." ? "this folder" : printable(shown);
  const made = `Created app ${name} in ${where} from ${printable(picked.shown)}: ${count(contents.entries.length, "file")}.`;
  const next = [`npx colibri dev${here}`, `npx colibri deploy${here}`, firstCall(name, contents, picked)];
  const readme = contents.entries.some(({ path }) => path === "README.md")
    ? `${shown === "." ? "" : `${printable(shown)}/`}README.md says what it does and what to change first.\n`
    : "";
  return `${style("green", "✓")} ${made}\n\nNext:\n${next.map((line) => `  ${line}\n`).join("")}\n${readme}`;
}

function firstCall(name: string, { config }: Contents, { variant }: Picked): string {
  const fn = variant?.invoke.function ?? Object.keys(config.functions)[0];
  const given = variant?.invoke.arguments ?? "";
  return `npx colibri invoke ${name}/${fn}${given === "" ? "" : ` ${given}`}`;
}

function quoted(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
