import { isName, NAME_RULE } from "#contract/names.ts";
import { usageError } from "./failure.ts";

export interface FunctionName {
  readonly app: string;
  readonly function: string;
}
export type Target = FunctionName | { readonly app: string; readonly function?: undefined };

/** `app` or `app/function`. */
export function parseTarget(text: string): Target {
  const names = text.split("/");
  const [app, fn] = names;
  if (app === undefined || names.length > 2)
    throw usageError(`"${text}" names no function: write <app>/<function>, such as hello/greet.`);
  for (const name of names)
    if (!isName(name)) throw usageError(`"${text}" can't be: "${name}" is no name.`, `Names are ${NAME_RULE}.`);
  return fn === undefined ? { app } : { app, function: fn };
}

/** `app/function`, both. */
export function parseFunctionName(text: string): FunctionName {
  const target = parseTarget(text);
  if (target.function === undefined)
    throw usageError(`"${text}" names an app only: write <app>/<function>, such as ${text}/greet.`, SEE_LIST);
  return target;
}

export function checkTenant(tenant: string): string {
  if (!isName(tenant)) throw usageError(`--tenant "${tenant}" is no name.`, `Names are ${NAME_RULE}.`);
  return tenant;
}

const SEE_LIST = "`npx colibri list` shows what is deployed.";
