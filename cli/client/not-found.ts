import { closest } from "#contract/config/suggest.ts";
import { CliError, EXIT } from "../failure.ts";
import type { FunctionName, Target } from "../target.ts";
import type { Client } from "./client.ts";
import { ApiError } from "./problem.ts";

/** Runs `action`; when control knows no such app or function, says which there are instead. */
export async function orSuggest<T>(client: Client, target: Target, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) throw await notFound(client, target);
    throw error;
  }
}

/** Names the nearest thing that is there, if control tells. */
export async function notFound(client: Client, target: Target): Promise<CliError> {
  const name = target.function === undefined ? `app ${target.app}` : `function ${show(target)}`;
  const hints = await hintsFor(client, target).catch(() => []);
  return new CliError(`There is no ${name}.`, {
    exit: EXIT.notFound,
    hints: [...hints, "`npx colibri list` shows what is deployed."],
    code: "not-found",
  });
}

async function hintsFor(client: Client, target: Target): Promise<string[]> {
  const apps = (await client.apps()).map(({ app }) => app);
  if (target.function === undefined) return didYouMean(closest(target.app, apps));
  const lists = await Promise.all(apps.slice(0, 20).map((app) => client.functions(app)));
  const names = lists.flat().map(show);
  if (names.includes(show(target)))
    return ["It was deployed, but the gateway does not know it yet: try again in a moment."];
  return didYouMean(closest(show(target), names) ?? onlyElsewhere(target, names));
}

/** The function of that name in another app, when there is one only. */
function onlyElsewhere(target: Target, names: readonly string[]): string | undefined {
  const others = names.filter((name) => name.endsWith(`/${target.function}`));
  return others.length === 1 ? others[0] : undefined;
}

function didYouMean(name: string | undefined): string[] {
  return name === undefined ? [] : [`Did you mean ${name}?`];
}

function show({ app, function: fn }: FunctionName): string {
  return `${app}/${fn}`;
}
