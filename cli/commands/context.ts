import { asTyped } from "#base/own-command.ts";
import { isName, NAME_RULE } from "#contract/names.ts";
import { address, type Connection, findConnection } from "../connection/connection.ts";
import { findContext, LOCAL } from "../contexts/choice.ts";
import { readContexts, type SavedContext, withContext, writeContexts } from "../contexts/file.ts";
import { EXIT, type ExitCode, usageError } from "../failure.ts";
import { readToken } from "../input/token.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { createStyle } from "../output/style.ts";
import { renderFacts, renderTable } from "../output/table.ts";
import type { Surroundings } from "../surroundings.ts";

export async function listContexts(surroundings: Surroundings, options: FormatOptions): Promise<ExitCode> {
  const { current = LOCAL, contexts } = readContexts(surroundings);
  const local = { name: LOCAL, control: "the platform of this machine's home", loggedIn: null };
  const saved = contexts.map(({ name, controlUrl, token }) => ({
    name,
    control: controlUrl,
    loggedIn: token !== undefined,
  }));
  const rows = [local, ...saved].map((row) => ({ ...row, current: row.name === current }));
  const text = (): string =>
    renderTable(
      ["", "NAME", "CONTROL", "TOKEN"],
      rows.map(({ name, control, loggedIn, current }) => [
        current ? "*" : "",
        name,
        control,
        loggedIn === null ? "the home's" : loggedIn ? "kept" : "none",
      ]),
      createStyle(surroundings.stdout, surroundings.env),
    );
  surroundings.stdout.write(await print({ data: rows, text, names: () => rows.map(({ name }) => name) }, options));
  return EXIT.ok;
}

export async function showContext(
  surroundings: Surroundings,
  name: string | undefined,
  options: FormatOptions,
): Promise<ExitCode> {
  const connection = findConnection(name === undefined ? surroundings : { ...surroundings, chosen: name });
  const data = describe(connection);
  const facts = [
    ["context", connection.context ?? (connection.origin === "home" ? LOCAL : "none: COLIBRI_URL is set")],
    ["control", `${data.control} (from ${connection.control.from})`],
    ["functions", `${data.functions} (from ${connection.functions.from})`],
    ["token", connection.token === undefined ? `none: ${connection.tokenMissing}` : `from ${connection.token.from}`],
  ] as const;
  const text = (): string => renderFacts(facts, createStyle(surroundings.stdout, surroundings.env));
  surroundings.stdout.write(await print({ data, text }, options));
  return EXIT.ok;
}

/** Where the token is from, never what it is. */
function describe({ context, origin, control, functions, token }: Connection) {
  return {
    context: context ?? (origin === "home" ? LOCAL : null),
    control: control.value,
    functions: functions.value,
    from: { control: control.from, functions: functions.from, token: token?.from ?? null },
  };
}

export async function useContext(surroundings: Surroundings, name: string): Promise<ExitCode> {
  const before = readContexts(surroundings);
  const { contexts } = before;
  const { controlUrl } = name === LOCAL ? { controlUrl: undefined } : findContext(before, name);
  writeContexts(surroundings, controlUrl === undefined ? { contexts } : { current: name, contexts });
  surroundings.stdout.write(`Commands now speak to ${controlUrl ?? "the platform of this machine's home"}.\n`);
  const overruled = ["COLIBRI_URL", "COLIBRI_CONTEXT"].find((variable) => surroundings.env[variable]);
  if (overruled) surroundings.stderr.write(`warning: ${overruled} is set, and overrules this while it is.\n`);
  return EXIT.ok;
}

export interface SaveContextOptions {
  readonly functionsUrl?: string;
  readonly tokenFile?: string;
}

export async function saveContext(
  surroundings: Surroundings,
  name: string,
  url: string,
  options: SaveContextOptions,
): Promise<ExitCode> {
  checkContextName(name);
  const before = readContexts(surroundings);
  const known = before.contexts.find((candidate) => candidate.name === name);
  const added = contextFrom(name, url, options.functionsUrl);
  // A token is for the address that it was given for.
  const kept = known?.controlUrl === added.controlUrl ? known.token : undefined;
  const token = options.tokenFile === undefined ? kept : await readToken(surroundings, options.tokenFile, url);
  writeContexts(surroundings, withContext(before, { ...added, ...(token !== undefined && { token }) }));
  const next = token === undefined ? `npx colibri login --context ${name}` : `npx colibri context use ${name}`;
  surroundings.stdout.write(`Context ${name} is ${added.controlUrl}. Next: ${asTyped(next, surroundings)}\n`);
  return EXIT.ok;
}

export async function removeContext(surroundings: Surroundings, name: string): Promise<ExitCode> {
  if (name === LOCAL) throw usageError(`${LOCAL} is always there: it is the platform of this machine's home.`);
  const before = readContexts(surroundings);
  findContext(before, name);
  const contexts = before.contexts.filter((candidate) => candidate.name !== name);
  const { current } = before;
  writeContexts(surroundings, { contexts, ...(current !== undefined && current !== name && { current }) });
  const then = current === name ? ` It was in use: commands now speak to the platform of this machine's home.` : "";
  surroundings.stdout.write(`Context ${name} is forgotten.${then}\n`);
  return EXIT.ok;
}

export function contextFrom(name: string, url: string, functionsUrl: string | undefined): SavedContext {
  const controlUrl = address(url, "The address of the control API").value;
  if (functionsUrl === undefined) return { name, controlUrl };
  return { name, controlUrl, functionsUrl: address(functionsUrl, "--functions-url").value };
}

export function checkContextName(name: string): void {
  if (!isName(name)) throw usageError(`"${name}" can't be the name of a context.`, `Names are ${NAME_RULE}.`);
  if (name === LOCAL) throw usageError(`${LOCAL} is the platform of this machine's home: choose another name.`);
}
