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

/** What changed, and how to call what is new. */
export function renderDeployed(deployment: Deployment, style: Style): string {
  const { app, functions } = deployment;
  if (functions.every(({ change }) => change === "unchanged"))
    return nothingToDo(deployment) + overriddenIn(deployment);
  const rows = functions.map((fn) => [fn.function, fn.change ?? "", fn.revision ?? "", fn.url ?? ""]);
  const created = functions.find(({ change }) => change === "created");
  const example =
    created?.url === undefined
      ? ""
      : printable(`\nTry it:\n  curl ${created.url}\n  npx colibri invoke ${app}/${created.function}\n`);
  return renderTable(["FUNCTION", "CHANGE", "REVISION", "URL"], rows, style) + overriddenIn(deployment) + example;
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

export function failedFunctions({ functions }: Deployment): string[] {
  return functions.filter(({ error, state }) => error !== undefined || state === "failed").map((fn) => fn.function);
}

/** `why` is what the last event said. */
export function deploymentFailure(deployment: Deployment): CliError {
  const errors = deployment.functions.flatMap((fn) =>
    fn.error === undefined ? [] : [{ name: fn.function, ...fn.error }],
  );
  const list = errors.map(({ name, code, message }) => `\n${name}: ${message} [${code}]`).join("");
  const remedies = new Set(errors.flatMap(({ code }) => remedyOf(code)));
  return new CliError(`App ${deployment.app} was not deployed; what was live still is.${list}`, {
    hints: [...remedies, `Deployment ${deployment.id}; ${count(errors.length, "function")} failed.`],
    code: errors[0]?.code,
  });
}
