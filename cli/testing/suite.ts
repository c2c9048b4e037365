import { existsSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import type { AppConfig } from "#contract/config/app-config.ts";
import { APP_FILE } from "#contract/config/keys.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import { count } from "#contract/count.ts";
import { readAppFile } from "../deploy/app-file.ts";
import { CliError, EXIT, usageError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import { parseFunctionName } from "../target.ts";
import { findBeside } from "./beside.ts";
import type { Case } from "./case.ts";
import { CASE_FILE, parseCaseFile } from "./case-file.ts";
import { proposeCases } from "./proposal.ts";

export interface SuiteChoice {
  /** A folder, or `<app>/<function>`. */
  readonly given: string | undefined;
  /** The file of cases, where it is not the usual one. */
  readonly file?: string | undefined;
  readonly function?: string | undefined;
  readonly filter?: string | undefined;
  /** Whether functions that run elsewhere are called: then colibri.yaml need not be here. */
  readonly isRemote: boolean;
}

/** The cases that are to be run, and of what. */
export interface Suite {
  readonly app: string;
  /** Of colibri.yaml. */
  readonly folder: string;
  /** Of the file of cases: what it names lies there. */
  readonly caseFolder: string;
  /** Absent: there is no colibri.yaml. */
  readonly config: AppConfig | undefined;
  readonly cases: readonly Case[];
}

export function readSuite(cwd: string, choice: SuiteChoice): Suite {
  const target = targetOf(cwd, choice);
  const config = readConfig(cwd, target, choice.isRemote);
  const app = config?.app ?? target.app!;
  if (target.app !== undefined && target.app !== app)
    throw usageError(
      `The app ${placeOf(target.folder)} is ${app}, not ${target.app}.`,
      "Name the folder of the other one, or go there.",
    );
  const shown = choice.file ?? join(target.folder, CASE_FILE);
  const path = resolve(cwd, shown);
  if (!existsSync(path)) throw missing(choice.file, target, config);
  const cases = chosen(readCases(path, shown, config), choice.filter, { target, config, shown });
  return { app, folder: resolve(cwd, target.folder), caseFolder: dirname(path), config, cases };
}

interface Target {
  /** As it was given. */
  readonly folder: string;
  readonly app: string | undefined;
  readonly function: string | undefined;
}

/** A folder, or a function of the app in this one; without either, the app beside the file of cases. */
function targetOf(cwd: string, { given, file, function: fn }: SuiteChoice): Target {
  const here = file === undefined ? "." : dirname(file);
  if (given === undefined) return { folder: here, app: undefined, function: fn };
  const isFolder = statSync(resolve(cwd, given), { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder || !/^[^./][^/]*\/[^/]+$/.test(given)) return { folder: given, app: undefined, function: fn };
  const named = parseFunctionName(given);
  if (fn !== undefined && fn !== named.function)
    throw usageError(`${given} and --function ${fn} name two functions: leave one out.`);
  return { folder: here, app: named.app, function: named.function };
}

function readConfig(cwd: string, { folder, app, function: fn }: Target, isRemote: boolean): AppConfig | undefined {
  if (app === undefined || existsSync(resolve(cwd, folder, APP_FILE))) return readAppFile(cwd, folder).config;
  if (isRemote) return undefined;
  throw usageError(
    `There is no ${APP_FILE} ${placeOf(folder)}, so that ${app}/${fn} can't be run on this machine.`,
    `Name the folder of app ${app}: npx colibri test <folder> --function ${fn}`,
    `Or call what is deployed: npx colibri test ${app}/${fn} --deployed --file <file of cases>`,
  );
}

function placeOf(folder: string): string {
  return folder === "." ? "here" : `in ${folder}`;
}

function missing(file: string | undefined, { folder, function: fn }: Target, config: AppConfig | undefined): CliError {
  if (file !== undefined) return usageError(`--file ${file}: there is no such file; it is to hold the cases.`);
  return usageError(
    `There is no ${CASE_FILE} in ${folder === "." ? "this folder" : folder}: it says what to call and what to expect. One elsewhere can be named with --file.`,
    ...proposal(config, fn),
  );
}

/** A first case of the function, or of each. */
function proposal(config: AppConfig | undefined, fn: string | undefined): string[] {
  if (config === undefined) return [];
  return proposeCases(
    config,
    fn !== undefined && Object.hasOwn(config.functions, fn) ? [fn] : Object.keys(config.functions),
  );
}

function readCases(path: string, shown: string, config: AppConfig | undefined): readonly Case[] {
  const text = readTextFile(path, shown);
  const folder = dirname(path);
  const functions = config === undefined ? undefined : Object.keys(config.functions);
  const parsed = parseCaseFile(text, { functions, find: (file) => findBeside(folder, file) });
  if (parsed.kind === "cases") return parsed.cases;
  const { mistakes } = parsed;
  throw new CliError(`${count(mistakes.length, "mistake")} in ${shown}:\n\n${formatMistakes(mistakes, text, shown)}`, {
    exit: EXIT.usage,
  });
}

function chosen(
  cases: readonly Case[],
  filter: string | undefined,
  { target, config, shown }: { target: Target; config: AppConfig | undefined; shown: string },
): readonly Case[] {
  const wanted = filter?.toLowerCase() ?? "";
  const fn = target.function;
  const found = cases.filter(
    (one) => (fn === undefined || one.function === fn) && `${one.function} ${one.name}`.toLowerCase().includes(wanted),
  );
  if (found.length > 0) return found;
  const there = [...new Set(cases.map((one) => one.function))].join(", ") || "none";
  const isWithout =
    config !== undefined && fn !== undefined && Object.hasOwn(config.functions, fn) && !there.split(", ").includes(fn);
  throw usageError(
    `No case in ${shown} fits.`,
    `Functions that have cases: ${there}.`,
    ...(isWithout ? proposal(config, fn) : []),
  );
}
