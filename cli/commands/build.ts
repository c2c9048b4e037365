import { mkdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { PlatformError } from "#contract/errors.ts";
import { type LocalBuilder, withLocalBuilder } from "#platform/main/local-builder.ts";
import { type FunctionReport, renderReport } from "../build/report.ts";
import { groupShipped } from "../build/shipped.ts";
import { warningsAbout } from "../build/warnings.ts";
import { type AppFile, readAppFile } from "../deploy/app-file.ts";
import { BuildOutput } from "../deploy/build-output.ts";
import { Progress } from "../deploy/progress.ts";
import { findSources, packSource, type Source } from "../deploy/source.ts";
import { withSpool } from "../deploy/spool.ts";
import { CliError, EXIT, type ExitCode, remedyOf, usageError } from "../failure.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";

export interface BuildOptions {
  readonly function?: string;
  readonly output?: string;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

/** Builds as a deployment would, on this machine and without a platform, and shows what would ship. */
export async function build(surroundings: Surroundings, given: string, options: BuildOptions): Promise<ExitCode> {
  const file = chosen(readAppFile(surroundings.cwd, given), options);
  const progress = new Progress(surroundings);
  for (const warning of file.warnings) progress.line(`${progress.style("yellow", "warning:")} ${warning}`);
  const sources = await findSources(resolve(surroundings.cwd, given), file);
  const signal = surroundings.interruption();
  const reports = await withSpool((spool) =>
    withLocalBuilder(join(spool, "builder"), signal, async (builder) => {
      const built: FunctionReport[] = [];
      for (const [index, source] of sources.entries()) {
        const packed = await packSource(source, join(spool, `${index}.tar`), signal);
        for (const name of source.functions)
          built.push(await buildOne({ surroundings, builder, file, progress, options }, { name, source, packed }));
      }
      return built;
    }),
  );
  show(surroundings, file, reports, options);
  return EXIT.ok;
}

/** Of the app, what is to be built. */
function chosen(file: AppFile, { function: name, output }: BuildOptions): AppFile {
  const { functions } = file.config;
  const names = Object.keys(functions);
  if (name !== undefined && functions[name] === undefined)
    throw new CliError(`There is no function ${name} in colibri.yaml: it has ${names.join(", ")}.`, {
      exit: EXIT.notFound,
    });
  if (name === undefined && output !== undefined && names.length > 1)
    throw usageError(`--output takes one function's bundle, and the app has ${names.length}: choose with --function.`);
  if (name === undefined) return file;
  return { ...file, config: { ...file.config, functions: { [name]: functions[name]! } } };
}

interface Tools {
  readonly surroundings: Surroundings;
  readonly builder: LocalBuilder;
  readonly file: AppFile;
  readonly progress: Progress;
  readonly options: BuildOptions;
}

interface Target {
  readonly name: string;
  readonly source: Source;
  readonly packed: { readonly path: string; readonly digest: string; readonly bytes: number };
}

async function buildOne(tools: Tools, { name, source, packed }: Target): Promise<FunctionReport> {
  const { builder, file, progress, options, surroundings } = tools;
  const { config } = file.config.functions[name]!;
  const output = new BuildOutput(progress, options.verbose === true);
  const told = {
    onStep: (text: string) => progress.line(`${name}: ${text}`),
    onOutput: (text: string) => output.add(name, text),
  };
  try {
    const { path, digest, bytes } = packed;
    const bundle = await builder.build({ path, digest, bytes, config, ...told });
    if (options.output !== undefined) await save(bundle, resolve(surroundings.cwd, options.output));
    const contents = groupShipped(bundle.entries);
    return {
      ...{ function: name, runtime: config.runtime, handler: config.handler },
      ...{ digest: bundle.digest, bytes: bundle.bytes },
      fileBytes: contents.reduce((sum, shipped) => sum + shipped.bytes, 0),
      files: bundle.entries.length,
      contents,
      ignored: source.ignored,
      warnings: warningsAbout({ ...bundle, handler: config.handler.replace(/#.*/, "") }),
    };
  } catch (error) {
    if (!(error instanceof PlatformError)) throw error;
    output.showKept([name]);
    const { code } = error;
    throw new CliError(`${name} can't be built: ${error.message} [${code}]`, { code, hints: hintsFor(code) });
  }
}

/** The catalogue speaks of deployments. */
function hintsFor(code: string): string[] {
  return remedyOf(code).map((hint) => hint.replace("deploy --verbose", "build --verbose"));
}

async function save(bundle: { save(path: string): Promise<void> }, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await bundle.save(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new CliError(`The bundle can't be written to ${path} (${code ?? message}).`, { cause: error });
  }
}

function show(
  surroundings: Surroundings,
  file: AppFile,
  reports: readonly FunctionReport[],
  options: BuildOptions,
): void {
  const style = createStyle(surroundings.stdout, surroundings.env);
  const text = options.json
    ? `${JSON.stringify({ app: file.config.app, functions: reports }, null, 2)}\n`
    : reports.map((report) => renderReport(report, options.verbose === true, style)).join("\n");
  surroundings.stdout.write(text);
}
