import type { AppConfig } from "#contract/config/app-config.ts";
import { parseHttpTrigger } from "#contract/config/triggers.ts";
import { count } from "#contract/count.ts";
import type { Deployment } from "#sdk/node/client.ts";
import { CliError, remedyOf } from "../failure.ts";
import { showFunctionUrl } from "../output/function.ts";
import { printable } from "../output/printable.ts";
import type { Style } from "../output/style.ts";
import { renderTable } from "../output/table.ts";

/** The deployment with addresses that can be called. */
export function withUrls(deployment: Deployment, functionsUrl: string): Deployment {
  const functions = deployment.functions.map((fn) =>
    fn.url === undefined ? fn : { ...fn, url: showFunctionUrl(functionsUrl, fn.url) },
  );
  return { ...deployment, functions };
}

/** What is known of the app where it was deployed from. */
export interface Origin {
  readonly config: AppConfig;
  /** Commands that are known to succeed, by function. */
  readonly calls: ReadonlyMap<string, string>;
  /** What makes a command mean the same platform and tenant: empty, or words with a space before. */
  readonly options: string;
}

/** What changed, and how to call what is new. */
export function renderDeployed(deployment: Deployment, style: Style, origin: Origin): string {
  const { functions } = deployment;
  if (functions.every(({ change }) => change === "unchanged"))
    return nothingToDo(deployment) + overriddenIn(deployment);
  const rows = functions.map((fn) => [fn.function, fn.change ?? "", fn.revision ?? "", fn.url ?? ""]);
  const table = renderTable(["FUNCTION", "CHANGE", "REVISION", "URL"], rows, style);
  return table + overriddenIn(deployment) + printable(firstStep(deployment, origin));
}

/** Of one that is new. What it takes is its own matter: where no case tells, only where it is called is told. */
function firstStep({ app, functions }: Deployment, { config, calls, options }: Origin): string {
  const created = functions.filter(({ change, url }) => change === "created" && url !== undefined);
  const shown = created.find((fn) => calls.has(fn.function)) ?? created[0];
  if (shown === undefined) return "";
  const log = `  npx colibri logs ${app}/${shown.function}${options}\n`;
  const call = calls.get(shown.function);
  if (call !== undefined) return `\nTry it:\n  ${call}${options}\n${log}`;
  const addresses = claimedBy(shown, config).map((address) => `  ${address}\n`);
  return `\nIt is called at:\n${addresses.join("")}and what it logs is shown by:\n${log}`;
}

/** Its triggers with their methods, or else its own address. */
function claimedBy({ function: name, url = "" }: Deployment["functions"][number], config: AppConfig): string[] {
  const origin = /^https?:\/\/[^/]+/.exec(url)?.[0] ?? "";
  const claimed = (config.functions[name]?.config.policy.triggers ?? []).flatMap((trigger) => {
    if (!("http" in trigger) || trigger.host !== undefined) return [];
    const parsed = parseHttpTrigger(trigger.http);
    if (parsed.kind === "wrong") return [];
    const { method, path } = parsed.trigger;
    return [`${method === "*" ? "" : `${method} `}${origin}${path}`];
  });
  return claimed.length > 0 ? claimed : [url];
}

/** What colibri.yaml says is not what counts: that should not surprise. */
export function overriddenIn({
  functions,
}: {
  readonly functions: readonly { readonly overridden?: readonly string[] }[];
}): string {
  const names = [...new Set(functions.flatMap((fn) => fn.overridden ?? []))].sort();
  return names.length === 0
    ? ""
    : printable(`${count(names.length, "setting")} overridden by config: ${names.join(", ")}\n`);
}

function nothingToDo({ app, functions }: Deployment): string {
  const revisions =
    functions.length === 1
      ? `revision ${functions[0]?.revision}`
      : functions.map((fn) => `${fn.function} ${fn.revision}`).join(", ");
  return printable(`Nothing to do: app ${app} is as deployed (${revisions}).\n`);
}

/** Said of a function that is sound, by control. */
const NEIGHBOUR = /^Not released, because .* failed\.$/;

export function failedFunctions({ functions }: Deployment): string[] {
  return functions
    .filter(({ error, state }) => (error !== undefined || state === "failed") && !NEIGHBOUR.test(error?.message ?? ""))
    .map((fn) => fn.function);
}

export function deploymentFailure(deployment: Deployment): CliError {
  const errors = deployment.functions.flatMap((fn) =>
    fn.error === undefined ? [] : [{ name: fn.function, ...fn.error }],
  );
  const own = errors.filter(({ message }) => !NEIGHBOUR.test(message));
  const list = errors
    .map(({ name, code, message }) => `\n${name}: ${message}${NEIGHBOUR.test(message) ? "" : ` [${code}]`}`)
    .join("");
  const remedies = new Set(own.flatMap(({ code }) => remedyOf(code)));
  return new CliError(`App ${deployment.app} was not deployed; nothing that is live was changed.${list}`, {
    hints: [...remedies, `Deployment ${deployment.id}; ${count(own.length, "function")} failed.`],
    code: own[0]?.code ?? errors[0]?.code,
  });
}
