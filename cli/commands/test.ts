import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { AppConfig } from "#contract/config/app-config.ts";
import { findConnection } from "../connection/connection.ts";
import { CliError, EXIT, type ExitCode, usageError } from "../failure.ts";
import { fileReason } from "../input/reason.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant } from "../target.ts";
import type { Case } from "../testing/case.ts";
import { LocalFunctions } from "../testing/local.ts";
import { describeResults, renderFunction, renderJunit, renderResult, renderSummary } from "../testing/report.ts";
import { type AnswerLimits, type CaseResult, runCase } from "../testing/runner.ts";
import { readSuite } from "../testing/suite.ts";

export interface TestOptions {
  readonly function?: string;
  readonly filter?: string;
  readonly file?: string;
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
/** Of a function whose configuration is not here. */
const UNKNOWN_TIMEOUT_MS = 15 * 60_000;

export async function test(
  surroundings: Surroundings,
  given: string | undefined,
  options: TestOptions,
): Promise<ExitCode> {
  const suite = readSuite(surroundings.cwd, { ...options, given, isRemote: isRemote(options) });
  const { app, config, cases } = suite;
  const signal = surroundings.interruption();
  const local =
    isRemote(options) || config === undefined
      ? undefined
      : new LocalFunctions(surroundings, { folder: suite.folder, config, verbose: options.verbose === true });
  try {
    const url = local === undefined ? remoteUrl(surroundings, options) : await local.open(signal);
    const settings = {
      ...{ url, app, signal, folder: suite.caseFolder, limits: limitsOf(config) },
      tenant: isRemote(options) ? checkTenant(options.tenant) : "default",
    };
    const results = await runAll(surroundings, cases, settings, local, options.json === true);
    if (options.json) surroundings.stdout.write(`${JSON.stringify(describeResults(results), null, 2)}\n`);
    if (options.junit !== undefined) writeReport(surroundings.cwd, options.junit, renderJunit(app, results));
    return results.some(({ outcome }) => outcome === "failed") ? EXIT.failure : EXIT.ok;
  } finally {
    await local?.close();
  }
}

function writeReport(cwd: string, file: string, text: string): void {
  try {
    writeFileSync(resolve(cwd, file), text);
  } catch (error) {
    throw new CliError(`--junit ${file} can't be written: ${fileReason(error)}.`, { cause: error });
  }
}

/** A platform has answered by then, if only that it took too long. */
function limitsOf(config: AppConfig | undefined): AnswerLimits {
  return {
    bytes: MAXIMUM_ANSWER,
    timeoutMs(fn) {
      const known = config?.functions[fn]?.config;
      return (known === undefined ? UNKNOWN_TIMEOUT_MS : known.policy.queue.timeoutMs + known.timeoutMs) + WAY_MS;
    },
  };
}

function isRemote(options: TestOptions): boolean {
  return options.deployed === true || options.url !== undefined;
}

function remoteUrl(surroundings: Surroundings, { url }: TestOptions): string {
  if (url === undefined) return findConnection(surroundings).functions.value;
  if (!/^https?:\/\/[^/?#]+\/?$/.test(url))
    throw usageError(`--url ${url} is no address of functions: write one such as http://127.0.0.1:8080.`);
  return url.replace(/\/$/, "");
}

async function runAll(
  surroundings: Surroundings,
  cases: readonly Case[],
  settings: Parameters<typeof runCase>[1],
  local: LocalFunctions | undefined,
  quiet: boolean,
): Promise<CaseResult[]> {
  const style = createStyle(surroundings.stdout, surroundings.env);
  const begun = performance.now();
  const results: CaseResult[] = [];
  for (const one of cases) {
    const result = await runCase(one, settings);
    if (!quiet && results.at(-1)?.case.function !== one.function)
      surroundings.stdout.write(renderFunction(one.function, style));
    results.push(result);
    const log = result.outcome === "failed" ? ((await local?.logOf(result.invocation)) ?? []) : [];
    local?.forget();
    if (!quiet) surroundings.stdout.write(renderResult(result, log, style));
  }
  if (!quiet) surroundings.stdout.write(renderSummary(results, performance.now() - begun, style));
  return results;
}
