import { createInterface } from "node:readline";
import { count } from "#contract/count.ts";
import { Client } from "../client/client.ts";
import { orSuggest } from "../client/not-found.ts";
import { findConnection } from "../connection/connection.ts";
import { CliError, EXIT, type ExitCode } from "../failure.ts";
import { type FormatOptions, print } from "../output/format.ts";
import { printable } from "../output/printable.ts";
import type { Input, Surroundings } from "../surroundings.ts";
import { checkTenant, type FunctionName, parseTarget } from "../target.ts";

export interface DeleteOptions extends FormatOptions {
  readonly yes?: boolean;
  readonly tenant: string;
}

/** What is to go, for people and for programs. */
interface Doomed {
  readonly what: string;
  readonly functions: readonly string[];
  remove(): Promise<void>;
}

export async function remove(surroundings: Surroundings, name: string, options: DeleteOptions): Promise<ExitCode> {
  const target = parseTarget(name);
  const client = new Client(findConnection(surroundings), checkTenant(options.tenant));
  const asks = surroundings.stdin.isTTY === true && surroundings.stderr.isTTY === true;
  const doomed = await orSuggest(client, target, () =>
    target.function === undefined ? doomedApp(client, target.app) : doomedFunction(client, target),
  );
  // A script that says delete means it; a person at a terminal may have mistyped.
  if (asks && !options.yes && !(await agrees(surroundings, doomed))) throw new CliError("Nothing was deleted.");
  await orSuggest(client, target, () => doomed.remove());
  const data = { deleted: doomed.functions };
  const text = (): string => `Deleted ${printable(doomed.what)}.\n`;
  surroundings.stdout.write(await print({ data, text, names: () => doomed.functions }, options));
  return EXIT.ok;
}

async function doomedApp(client: Client, app: string): Promise<Doomed> {
  const [, functions] = await Promise.all([client.app(app), client.functions(app)]);
  const names = functions.map((fn) => `${app}/${fn.function}`);
  const what =
    names.length === 0 ? `app ${app}` : `app ${app} with ${count(names.length, "function")}: ${names.join(", ")}`;
  return { what, functions: names, remove: () => client.deleteApp(app) };
}

async function doomedFunction(client: Client, name: FunctionName): Promise<Doomed> {
  const revisions = await client.revisions(name);
  const shown = `${name.app}/${name.function}`;
  const what = `function ${shown} with ${count(revisions.length, "revision")}`;
  return { what, functions: [shown], remove: () => client.deleteFunction(name) };
}

async function agrees(surroundings: Surroundings, { what }: Doomed): Promise<boolean> {
  const interruption = surroundings.interruption();
  surroundings.stderr.write(`Delete ${printable(what)}? [y/N] `);
  return /^y(?:es)?$/i.test((await readLine(surroundings.stdin, interruption)).trim());
}

/** The next line; empty at the end of the input. Rejects at Ctrl-C. */
function readLine(input: Input, interruption: AbortSignal): Promise<string> {
  // Not `terminal`: that would take Ctrl-C for itself.
  const lines = createInterface({ input, terminal: false });
  return new Promise<string>((resolve, reject) => {
    lines.once("line", resolve).once("close", () => resolve(""));
    interruption.addEventListener("abort", () => reject(interruption.reason), { once: true });
  }).finally(() => lines.close());
}
