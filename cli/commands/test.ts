import { existsSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { AppConfig } from "#contract/config/app-config.ts";
import { formatMistakes } from "#contract/config/mistakes.ts";
import { count } from "#contract/count.ts";
import { findConnection } from "../connection/connection.ts";
import type { Context } from "../context.ts";
import { type AppFile, readAppFile } from "../deploy/app-file.ts";
import { CliError, EXIT, type ExitCode, usageError } from "../failure.ts";
import { readTextFile } from "../input/text-file.ts";
import { createStyle } from "../output/style.ts";
import { checkTenant, parseFunctionName } from "../target.ts";
import type { Case } from "../testing/case.ts";
import { CASE_FILE, parseCaseFile } from "../testing/case-file.ts";
import { LocalFunctions } from "../testing/local.ts";
import { proposeCases } from "../testing/proposal.ts";
import { describeResults, renderFunction, renderJunit, renderResult, renderSummary } from "../testing/report.ts";
import { type AnswerLimits, type CaseResult, runCase } from "../testing/runner.ts";

export interface TestOptions {
  readonly function?: string;
  readonly filter?: string;
  readonly deployed?: boolean;
  readonly url?: string;
  readonly json?: boolean;
  readonly junit?: string;
  readonly verbose?: boolean;
  readonly tenant: string;
}

const MAXIMUM_ANSWER = 256 * 1024 * 1024;
/** For the bytes of a request and its answer, beside what the function may take. */
const WAY_MS = 30_000;

export async function test(context: Context, given: string | undefined, options: TestOptions): Promise<ExitCode> {
  const target = chooseTarget(context.cwd, given, options);
  const app = readAppFile(context.cwd, target.given);
  if (target.app !== undefined && target.app !== app.config.app)
    throw usageError(
      `The app here is ${app.config.app}, not ${target.app}.`,
      "Name the folder of the other one, or go there.",
    );
  const folder = resolve(context.cwd, target.given);
  const cases = chooseCases(readCases(folder, target, app), target.function, options.filter, app.config);
  const signal = context.interruption();
  const local = isRemote(options)
    ? undefined
    : new LocalFunctions(context, { folder, config: app.config, verbose: options.verbose === true });
  try {
    const url = local === undefined ? remoteUrl(context, options) : await local.open(signal);
    const settings = {
      url,
      tenant: isRemote(options) ? checkTenant(options.tenant) : "default",
      app: app.config.app,
      folder,
      signal,
      limits: limitsOf(app.config),
    };
    const results = await runAll(context, cases, settings, local, options.json === true);
    if (options.json) context.stdout.write(`${JSON.stringify(describeResults(results), null, 2)}\n`);
    if (options.junit !== undefined)
      writeFileSync(resolve(context.cwd, options.junit), renderJunit(app.config.app, results));
    return results.some(({ outcome }) => outcome === "failed") ? EXIT.failure : EXIT.ok;
  } finally {
    await local?.close();
  }
}

interface Target {
  readonly given: string;
  readonly app: string | undefined;
  readonly function: string | undefined;
}

/** A folder, or a function of the app in this one. */
function chooseTarget(cwd: string, given: string | undefined, options: TestOptions): Target {
  const isFolder =
    given === undefined || statSync(resolve(cwd, given), { throwIfNoEntry: false })?.isDirectory() === true;
  if (isFolder || !/^[^./][^/]*\/[^/]+$/.test(given))
    return { given: given ?? ".", app: undefined, function: options.function };
  const { app, function: fn } = parseFunctionName(given);
  if (options.function !== undefined && options.function !== fn)
    throw usageError(`${given} and --function ${options.function} name two functions: leave one out.`);
  return { given: ".", app, function: fn };
}

/** A platform has answered by then, if only that it took too long. */
function limitsOf({ functions }: AppConfig): AnswerLimits {
  return {
    bytes: MAXIMUM_ANSWER,
    timeoutMs(fn) {
      const { timeoutMs, policy } = functions[fn]!.config;
      return policy.queue.timeoutMs + timeoutMs + WAY_MS;
    },
  };
}

function isRemote(options: TestOptions): boolean {
  return options.deployed === true || options.url !== undefined;
}

function remoteUrl(context: Context, { url }: TestOptions): string {
  if (url === undefined) return findConnection(context).functions.value;
  if (!/^https?:\/\/[^/?#]+\/?$/.test(url))
    throw usageError(`--url ${url} is no address of functions: write one such as http://127.0.0.1:8080.`);
  return url.replace(/\/$/, "");
}

function readCases(folder: string, { given, function: fn }: Target, { config }: AppFile): readonly Case[] {
  const path = join(folder, CASE_FILE);
  const shown = join(given, CASE_FILE);
  if (!existsSync(path))
    throw usageError(
      `There is no ${CASE_FILE} in ${given === "." ? "this folder" : given}: it says what to call and what to expect.`,
      ...proposeCases(config, fn !== undefined && fn in config.functions ? [fn] : Object.keys(config.functions)),
    );
  const text = readTextFile(path, shown);
  const exists = (file: string) => statSync(join(folder, file), { throwIfNoEntry: false })?.isFile() === true;
  const parsed = parseCaseFile(text, { functions: Object.keys(config.functions), exists });
  if (parsed.kind === "cases") return parsed.cases;
  const { mistakes } = parsed;
  throw new CliError(`${count(mistakes.length, "mistake")} in ${shown}:\n\n${formatMistakes(mistakes, text, shown)}`, {
    exit: EXIT.usage,
  });
}

function chooseCases(
  cases: readonly Case[],
  fn: string | undefined,
  filter: string | undefined,
  config: AppConfig,
): readonly Case[] {
  const wanted = filter?.toLowerCase() ?? "";
  const chosen = cases.filter(
    (one) => (fn === undefined || one.function === fn) && `${one.function} ${one.name}`.toLowerCase().includes(wanted),
  );
  if (chosen.length > 0) return chosen;
  const there = [...new Set(cases.map((one) => one.function))].join(", ") || "none";
  const without = fn !== undefined && fn in config.functions && !cases.some((one) => one.function === fn);
  throw usageError(
    `No case in ${CASE_FILE} fits.`,
    `Functions that have cases: ${there}.`,
    ...(without ? proposeCases(config, [fn]) : []),
  );
}

async function runAll(
  context: Context,
  cases: readonly Case[],
  settings: Parameters<typeof runCase>[1],
  local: LocalFunctions | undefined,
  quiet: boolean,
): Promise<CaseResult[]> {
  const style = createStyle(context.stdout, context.env);
  const begun = performance.now();
  const results: CaseResult[] = [];
  for (const one of cases) {
    const result = await runCase(one, settings);
    if (!quiet && results.at(-1)?.case.function !== one.function)
      context.stdout.write(renderFunction(one.function, style));
    results.push(result);
    const log = result.outcome === "failed" ? ((await local?.logOf(result.invocation)) ?? []) : [];
    local?.forget();
    if (!quiet) context.stdout.write(renderResult(result, log, style));
  }
  if (!quiet) context.stdout.write(renderSummary(results, performance.now() - begun, style));
  return results;
}
