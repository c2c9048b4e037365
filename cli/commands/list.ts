import { asTyped } from "#base/own-command.ts";
import { showMemory } from "#contract/config/memory-class.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import type { App, FunctionResource } from "#sdk/node/client.ts";
import { Client } from "../client/client.ts";
import { findConnection } from "../connection/connection.ts";
import type { ExitCode } from "../failure.ts";
import { showDigest, showFunctionUrl, showLive, showScaling } from "../output/function.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import { renderTable } from "../output/table.ts";
import { showAgo, showSpan } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant } from "../target.ts";
import { type ShowOptions, show } from "../watch/refresh.ts";

export interface ListOptions extends ShowOptions {
  readonly tenant: string;
}

const COLUMNS = ["FUNCTION", "REVISION", "RUNTIME", "MEMORY", "SCALING", "UPDATED", "URL"];
const WIDE_COLUMNS = ["HANDLER", "TIMEOUT", "CONCURRENCY", "NETWORK", "SOURCE"];

export function list(surroundings: Surroundings, options: ListOptions): Promise<ExitCode> {
  const connection = findConnection(surroundings);
  const tenant = checkTenant(options.tenant);
  return show(surroundings, options, async (signal) => {
    const client = new Client(connection, tenant, signal);
    const apps = await client.apps();
    const functions = (await functionsOf(client, apps)).map((fn) => ({
      ...fn,
      url: showFunctionUrl(connection.functions.value, fn.url),
    }));
    return {
      data: functions,
      text: (wide) => render(surroundings, tenant, { apps, functions, wide }),
      names: () => functions.map((fn) => `${fn.app}/${fn.function}`),
    };
  });
}

const AT_ONCE = 8;

async function functionsOf(client: Client, apps: readonly App[]): Promise<FunctionResource[]> {
  const found: FunctionResource[] = [];
  for (let first = 0; first < apps.length; first += AT_ONCE) {
    const some = apps.slice(first, first + AT_ONCE);
    found.push(...(await Promise.all(some.map(({ app }) => client.functions(app)))).flat());
  }
  return found;
}

interface Listed {
  readonly apps: readonly App[];
  readonly functions: readonly FunctionResource[];
  readonly wide: boolean;
}

function render(surroundings: Surroundings, tenant: string, { apps, functions, wide }: Listed): string {
  const style = createStyle(surroundings.stdout, surroundings.env);
  const empty = apps.filter(({ app }) => !functions.some((fn) => fn.app === app)).map(({ app }) => app);
  const note = empty.length > 0 ? `Apps without functions: ${printable(empty.join(", "))}\n` : "";
  if (functions.length === 0) return `${note}${asTyped(nothing(tenant), surroundings)}\n`;
  const networks = new Map(apps.map(({ app, network }) => [app, network]));
  const rows = functions.map((fn) => [
    `${fn.app}/${fn.function}`,
    showLive(fn.live),
    fn.config.runtime,
    showMemory(fn.config.memoryMiB),
    showScaling(fn.config.policy.scaling),
    showAgo(fn.updatedAt, Date.now()),
    fn.url,
    ...(wide ? wideCells(fn, networks.get(fn.app)) : []),
  ]);
  return renderTable(wide ? [...COLUMNS, ...WIDE_COLUMNS] : COLUMNS, rows, style) + note;
}

function wideCells({ config, source }: FunctionResource, network: App["network"] | undefined): string[] {
  return [
    config.handler,
    showSpan(config.timeoutMs),
    String(config.concurrency),
    network?.kind ?? "",
    showDigest(source),
  ];
}

function nothing(tenant: string): string {
  const deploy = "Deploy some: npx colibri deploy <folder>";
  if (tenant === DEFAULT_TENANT) return `No functions yet. ${deploy}`;
  return `Tenant ${tenant} has no functions yet. ${deploy} --tenant ${tenant}`;
}
