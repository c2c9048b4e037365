import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { closest } from "#contract/config/suggest.ts";
import { count } from "#contract/count.ts";
import type { ConfigChange, Deployment } from "#sdk/node/client.ts";
import { Client } from "../client/client.ts";
import { orSuggest } from "../client/not-found.ts";
import { type Environment, parseAssignments, parseEnvFile } from "../config/assignments.ts";
import { type Setting, settingsOfApp, settingsOfFunction, showTarget } from "../config/settings.ts";
import { findConnection } from "../connection/connection.ts";
import { BuildOutput } from "../deploy/build-output.ts";
import { followDeployment } from "../deploy/follow.ts";
import { Progress } from "../deploy/progress.ts";
import { deploymentFailure, withUrls } from "../deploy/summary.ts";
import { CliError, EXIT, type ExitCode, usageError } from "../failure.ts";
import { fileReason } from "../input/reason.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { createStyle, type Style } from "../output/style.ts";
import { renderTable } from "../output/table.ts";
import { retrying } from "../reconnect.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant, parseTarget, type Target } from "../target.ts";

export interface ConfigOptions extends FormatOptions {
  readonly tenant: string;
}

const HIDDEN = "••••";
const RETRY_MS = 10_000;

export async function listConfig(
  surroundings: Surroundings,
  name: string,
  options: ConfigOptions & { readonly values?: boolean },
): Promise<ExitCode> {
  const target = parseTarget(name);
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant));
  const settings = await orSuggest(client, target, () => settingsOf(client, target));
  const shown = settings.map(({ value, ...rest }) => ({ ...rest, ...(options.values && { value }) }));
  const style = createStyle(surroundings.stdout, surroundings.env);
  const text = (): string => renderSettings(target, settings, style, options.values === true);
  const names = (): string[] => [...new Set(settings.map((setting) => setting.name))];
  surroundings.stdout.write(await print({ data: shown, text, names }, options));
  return EXIT.ok;
}

async function settingsOf(client: Client, target: Target): Promise<Setting[]> {
  if (target.function === undefined) return settingsOfApp(await client.config(target.app));
  const [fn, config] = await Promise.all([client.function({ ...target }), client.config(target.app)]);
  return settingsOfFunction(fn, config);
}

function renderSettings(target: Target, settings: readonly Setting[], style: Style, values: boolean): string {
  if (settings.length === 0) return `Nothing is set for ${showTarget(target)}.\n`;
  const rows = settings.map(({ name, value, from, function: fn }) => [
    name,
    values ? value : HIDDEN,
    from === "colibri.yaml" ? from : `config of ${from === "app" ? target.app : `${target.app}/${fn}`}`,
  ]);
  const note = values ? "" : "\nValues are shown with --values.\n";
  return renderTable(["NAME", "VALUE", "FROM"], rows, style) + note;
}

export async function getConfig(
  surroundings: Surroundings,
  name: string,
  key: string,
  options: ConfigOptions,
): Promise<ExitCode> {
  const target = parseTarget(name);
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant));
  const settings = await orSuggest(client, target, () => settingsOf(client, target));
  const found = settings.find((setting) => setting.name === key && (target.function || setting.from === "app"));
  if (found === undefined) throw notSet(target, key, settings);
  surroundings.stdout.write(await print({ data: found, text: () => `${found.value}\n` }, options));
  return EXIT.ok;
}

export async function setConfig(
  surroundings: Surroundings,
  name: string,
  assignments: readonly string[],
  options: ConfigOptions & { readonly fromFile?: string },
): Promise<ExitCode> {
  const target = parseTarget(name);
  const set = { ...(await fileSettings(surroundings, options.fromFile)), ...parseAssignments(assignments) };
  if (Object.keys(set).length === 0)
    throw usageError("Nothing is to be set.", "Write KEY=VALUE, or use --from-file .env.");
  return change(surroundings, target, { set }, options);
}

async function fileSettings(surroundings: Surroundings, file: string | undefined): Promise<Environment> {
  if (file === undefined) return {};
  if (file === "-")
    return parseEnvFile(Buffer.concat(await surroundings.stdin.toArray()).toString("utf8"), "standard input");
  try {
    return parseEnvFile(readFileSync(resolve(surroundings.cwd, file), "utf8"), file);
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`--from-file ${file} can't be read: ${fileReason(error)}.`, {
      cause: error,
    });
  }
}

export async function unsetConfig(
  surroundings: Surroundings,
  name: string,
  keys: readonly string[],
  options: ConfigOptions,
): Promise<ExitCode> {
  const target = parseTarget(name);
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant));
  const settings = await orSuggest(client, target, async () => settingsOfApp(await client.config(target.app)));
  const own = settings.filter((setting) => setting.function === target.function);
  for (const key of keys) if (!own.some((setting) => setting.name === key)) throw notSet(target, key, own);
  return change(surroundings, target, { unset: [...keys] }, options);
}

function notSet(target: Target, key: string, settings: readonly Setting[]): CliError {
  const names = settings.map((setting) => setting.name);
  const meant = closest(key, names);
  return new CliError(`${key} is not set for ${showTarget(target)}.`, {
    exit: EXIT.notFound,
    hints: [
      ...(meant === undefined || meant === key ? [] : [`Did you mean ${meant}?`]),
      `\`npx colibri config list ${showTarget(target)}\` shows what is.`,
    ],
  });
}

/** Asks for the change and follows it to its end, as with a deployment. */
async function change(
  surroundings: Surroundings,
  target: Target,
  wanted: Omit<ConfigChange, "function">,
  options: ConfigOptions,
): Promise<ExitCode> {
  const signal = surroundings.interruption();
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant), signal);
  const progress = new Progress(surroundings);
  const key = randomUUID();
  const body = { ...wanted, ...(target.function !== undefined && { function: target.function }) };
  const started = await orSuggest(client, target, () =>
    retrying(() => client.changeConfig(target.app, body, key), RETRY_MS, signal),
  ).catch(deployFirst);
  const output = new BuildOutput(progress, false);
  const ended = withUrls(
    await followDeployment(client, started, { progress, output }, signal),
    client.connection.functions.value,
  );
  if (ended.state === "failed") throw deploymentFailure(ended);
  const text = (): string => renderChange(target, wanted, ended, createStyle(surroundings.stdout, surroundings.env));
  const names = (): string[] => ended.functions.map((fn) => `${ended.app}/${fn.function}`);
  surroundings.stdout.write(await print({ data: ended, text, names }, options));
  return EXIT.ok;
}

function deployFirst(error: unknown): never {
  if (!(error instanceof CliError) || error.exit !== EXIT.notFound) throw error;
  const { message, exit, code, cause } = error;
  const hint =
    "Settings are of what is deployed: deploy it first, with these variables under env: in colibri.yaml if it needs them.";
  throw new CliError(message, { exit, code, cause, hints: [...error.hints, hint] });
}

function renderChange(
  target: Target,
  { set = {}, unset = [] }: Omit<ConfigChange, "function">,
  { functions }: Deployment,
  style: Style,
): string {
  const number = Object.keys(set).length + unset.length;
  const done = `${count(number, "setting")} of ${showTarget(target)} ${unset.length > 0 ? "removed" : "set"}`;
  const changed = functions.filter((fn) => fn.change !== "unchanged");
  if (changed.length === 0) return `${done}; no function changes by it.\n`;
  const rows = changed.map((fn) => [fn.function, fn.change ?? "", fn.revision ?? ""]);
  return `${renderTable(["FUNCTION", "CHANGE", "REVISION"], rows, style)}\n${done}.\n`;
}
