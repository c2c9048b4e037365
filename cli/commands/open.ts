import { Client } from "../client/client.ts";
import { orSuggest } from "../client/not-found.ts";
import { findConnection } from "../connection/connection.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { checkPath } from "../invoke/path.ts";
import { openInBrowser } from "../open/browser.ts";
import { showFunctionUrl } from "../output/function.ts";
import { printable } from "../output/printable.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant, parseTarget, type Target } from "../target.ts";

export interface OpenOptions {
  readonly path?: string;
  readonly print?: boolean;
  readonly tenant: string;
}

/** Where there is no terminal or no browser the address is printed: then somebody else can open it. */
export async function open(surroundings: Surroundings, name: string, options: OpenOptions): Promise<ExitCode> {
  const target = parseTarget(name);
  const path = checkPath(options.path);
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant));
  const url = (await orSuggest(client, target, () => urlOf(client, target))) + path;
  const opened = !options.print && surroundings.stdout.isTTY === true && (await openInBrowser(surroundings.env, url));
  surroundings.stdout.write(opened ? `Opened ${printable(url)}\n` : `${printable(url)}\n`);
  return EXIT.ok;
}

async function urlOf(client: Client, target: Target): Promise<string> {
  const fn =
    target.function === undefined ? await onlyFunction(client, target.app) : await client.function({ ...target });
  return showFunctionUrl(client.connection.functions.value, fn.url);
}

async function onlyFunction(client: Client, app: string) {
  const functions = await client.functions(app);
  const [first, second] = functions;
  if (first !== undefined && second === undefined) return first;
  throw new CliError(first === undefined ? `App ${app} has no functions.` : `App ${app} has several functions.`, {
    exit: EXIT.usage,
    hints: functions.map((fn) => `npx colibri open ${app}/${fn.function}`),
  });
}
