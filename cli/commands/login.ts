import { Client } from "../client/client.ts";
import { ApiError, StrangeAnswer } from "../client/problem.ts";
import { findConnection, isLoopback } from "../connection/connection.ts";
import { chosenContext, findContext } from "../contexts/choice.ts";
import { readContexts, type SavedContext, type SavedContexts, withContext, writeContexts } from "../contexts/file.ts";
import { CliError, EXIT, type ExitCode, usageError } from "../failure.ts";
import { readToken } from "../input/token.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkContextName, contextFrom, type SaveContextOptions } from "./context.ts";

export interface LoginOptions extends SaveContextOptions {
  readonly context?: string;
}

const ANSWER_MS = 10_000;

/** Nothing is kept that the platform does not accept. */
export async function login(
  surroundings: Surroundings,
  url: string | undefined,
  options: LoginOptions,
): Promise<ExitCode> {
  const before = readContexts(surroundings);
  const target = targetOf(surroundings, before, url, options);
  warnOfPlainText(surroundings, target.controlUrl);
  const token = await readToken(surroundings, options.tokenFile, target.controlUrl);
  const entry = { ...target, token };
  const version = await check(surroundings, entry);
  // Read again: asking may have taken long.
  writeContexts(surroundings, { ...withContext(readContexts(surroundings), entry), current: entry.name });
  surroundings.stdout.write(`Logged in to ${entry.controlUrl}${version}. Context ${entry.name} is now in use.\n`);
  return EXIT.ok;
}

function targetOf(
  surroundings: Surroundings,
  before: SavedContexts,
  url: string | undefined,
  { context: name, functionsUrl }: LoginOptions,
): SavedContext {
  if (name !== undefined) checkContextName(name);
  const address = url ?? surroundings.env.COLIBRI_URL;
  if (url !== undefined || (name === undefined && address)) {
    const target = contextFrom(name ?? "", address ?? "", functionsUrl);
    return name === undefined ? { ...target, name: nameFor(before, target.controlUrl) } : target;
  }
  const current = name === undefined ? chosenContext(surroundings)?.saved : findContext(before, name);
  if (current === undefined)
    throw usageError(
      "No context is in use: name the address of the platform, such as `npx colibri login https://faas.example:8081`.",
      "On the machine where the platform runs nobody needs to log in.",
    );
  return contextFrom(current.name, current.controlUrl, functionsUrl ?? current.functionsUrl);
}

/** The name that this address has, or one made from its host. */
function nameFor({ contexts }: SavedContexts, controlUrl: string): string {
  const known = contexts.find((candidate) => candidate.controlUrl === controlUrl);
  if (known !== undefined) return known.name;
  const made = new URL(controlUrl).hostname.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const name = made.slice(0, 63).replace(/^-+|-+$/g, "");
  const other = contexts.find((candidate) => candidate.name === name);
  if (other === undefined) return name;
  throw usageError(`Context ${name} is ${other.controlUrl} already: choose another name with --context.`);
}

function warnOfPlainText(surroundings: Surroundings, url: string): void {
  if (url.startsWith("https:") || isLoopback(url)) return;
  const style = createStyle(surroundings.stderr, surroundings.env);
  surroundings.stderr.write(
    `${style("yellow", "warning:")} ${url} is not encrypted: whoever is on the way can read the token.\n`,
  );
}

/** Its version, for the message. @throws CliError when the platform is away or refuses the token. */
async function check(surroundings: Surroundings, entry: SavedContext & { readonly token: string }): Promise<string> {
  const probe = findConnection({ ...surroundings, chosen: undefined, env: { COLIBRI_URL: entry.controlUrl } });
  const from = "this login";
  const control = { value: entry.controlUrl, from };
  const connection = { ...probe, control, token: { value: entry.token, from } };
  try {
    const { version } = await new Client(connection, "default").health(ANSWER_MS);
    return printable(` (version ${version})`);
  } catch (error) {
    // Valid, but not for this: a token need not permit to see the platform's health.
    if (error instanceof ApiError && error.code === "forbidden") return "";
    if (error instanceof StrangeAnswer) throw new CliError(`${error.message} Nothing was kept.`, error);
    if (!(error instanceof ApiError && error.status === 401)) throw error;
    throw new CliError(`${entry.controlUrl} does not accept this token; nothing was kept.`, {
      exit: EXIT.notPermitted,
      hints: ["On the platform's machine the admin's token is the file \"token\" in its home."],
      code: "unauthorized",
    });
  }
}

export async function logout(surroundings: Surroundings): Promise<ExitCode> {
  const chosen = chosenContext({ ...surroundings, env: { ...surroundings.env, COLIBRI_URL: undefined } });
  if (chosen === undefined) throw new CliError("No context is in use: there is no token to forget.");
  const { token, ...rest } = chosen.saved;
  writeContexts(surroundings, withContext(readContexts(surroundings), rest));
  const what = token === undefined ? "There was no token of" : "Forgot the token of";
  surroundings.stdout.write(`${what} context ${rest.name} (${rest.controlUrl}).\n`);
  return EXIT.ok;
}
