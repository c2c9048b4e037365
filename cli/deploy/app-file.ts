import { existsSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { type AppConfig, parseAppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import { count } from "#contract/count.ts";
import { CliError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";

export interface AppFile {
  readonly config: AppConfig;
  readonly warnings: readonly string[];
}

const EXAMPLE = `
A minimal ${APP_FILE}, with the code in hello/index.mjs beside it:

  app: hello
  functions:
    hello:
      runtime: nodejs
      handler: index.mjs

and hello/index.mjs:

  export default (input) => ({ hello: input?.name ?? "world" });
`;

/** The configuration in the folder that the user named `given`, seen from `cwd`. */
export function readAppFile(cwd: string, given: string): AppFile {
  const folder = resolve(cwd, given);
  checkFolder(folder, given);
  const path = join(folder, APP_FILE);
  if (!existsSync(path)) throw missing(cwd, folder, given);
  const text = readTextFile(path);
  const parsed = parseAppConfig(text, { exists: (inside) => existsSync(join(folder, inside)) });
  if (parsed.kind === "config")
    return { config: parsed.config, warnings: parsed.warnings.map((warning) => warning.text) };
  const { mistakes } = parsed;
  const shown = join(given, APP_FILE);
  throw new CliError(`${count(mistakes.length, "mistake")} in ${shown}:\n\n${formatMistakes(mistakes, text, shown)}`, {
    code: "config-invalid",
  });
}

function checkFolder(folder: string, given: string): void {
  const found = statSync(folder, { throwIfNoEntry: false });
  if (found === undefined) throw new CliError(`There is no folder ${given}.`);
  if (!found.isDirectory()) throw new CliError(`${given} is not a folder: name the folder that holds ${APP_FILE}.`);
}

function missing(cwd: string, folder: string, given: string): CliError {
  const where = given === "." ? "this folder" : given;
  const other = ["colibri.yml", "colibri.json"].find((name) => existsSync(join(folder, name)));
  if (other !== undefined) return new CliError(`${where} has ${other}: its name must be ${APP_FILE}.`);
  const above = folderAbove(cwd, folder);
  if (above !== undefined)
    return new CliError(`There is no ${APP_FILE} in ${where}, but one in a folder above: npx colibri deploy ${above}`);
  return new CliError(`There is no ${APP_FILE} in ${where}: it says which functions to deploy.\n${EXAMPLE}`);
}

function folderAbove(cwd: string, folder: string): string | undefined {
  for (let above = dirname(folder), last = folder; above !== last; last = above, above = dirname(above))
    if (existsSync(join(above, APP_FILE))) return relative(cwd, above) || ".";
  return undefined;
}
