import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { APP_FILE } from "#contract/config/keys.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import type { Surroundings } from "../surroundings.ts";

export const SCHEMA_FILE = "colibri.schema.json";
const SCHEMA = new URL("../../contract/config/colibri.schema.json", import.meta.url);
/** What editors with a YAML language server look for in a comment of their own. */
const LINE = `# yaml-language-server: $schema=./${SCHEMA_FILE}\n`;
const ANY_LINE = /^# yaml-language-server: \$schema=.*(?:\r?\n|$)/m;

export function schema(surroundings: Surroundings, given: string, options: { readonly print?: boolean }): ExitCode {
  if (options.print) {
    surroundings.stdout.write(schemaText());
    return EXIT.ok;
  }
  const folder = resolve(surroundings.cwd, given);
  if (!existsSync(join(folder, APP_FILE)))
    throw new CliError(`There is no ${APP_FILE} in ${given === "." ? "this folder" : given}.`, {
      hints: ["Name the folder that holds it, or see the schema with --print."],
    });
  const path = join(folder, APP_FILE);
  const text = readTextFile(path);
  writeFileSync(join(folder, SCHEMA_FILE), schemaText());
  if (linkSchema(text) !== text) writeFileSync(path, linkSchema(text));
  const shown = join(given, SCHEMA_FILE);
  surroundings.stdout.write(
    `${shown} is written, and the first line of ${join(given, APP_FILE)} leads editors there.\n`,
  );
  return EXIT.ok;
}

export function schemaText(): string {
  return readFileSync(SCHEMA, "utf8");
}

/** A colibri.yaml whose line for editors leads to the file beside it, whatever it said: that stays true when the folder moves. */
export function linkSchema(text: string): string {
  return ANY_LINE.test(text) ? text.replace(ANY_LINE, () => LINE) : LINE + text;
}
