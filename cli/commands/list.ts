import type { App, FunctionResource } from "#contract/api/resources.ts";
import { DEFAULT_TENANT } from "#contract/names.ts";
import { Client } from "../client/client.ts";
import { findConnection } from "../connection/connection.ts";
import type { Context } from "../context.ts";
import { EXIT, type ExitCode } from "../failure.ts";
import { showFunctionUrl, showLive, showScaling } from "../output/function.ts";
import { printable } from "../output/printable.ts";
import { createStyle } from "../output/style.ts";
import { renderTable } from "../output/table.ts";
import { showAgo } from "../output/units.ts";
import { checkTenant } from "../target.ts";

export interface ListOptions {
  readonly json?: boolean;
  readonly tenant: string;
}

const COLUMNS = ["FUNCTION", "REVISION", "RUNTIME", "MEMORY", "SCALING", "UPDATED", "URL"];

export async function list(context: Context, options: ListOptions): Promise<ExitCode> {
  const connection = findConnection(context);
  const client = new Client(connection, checkTenant(options.tenant));
  const apps = await client.apps();
  const functions = (await functionsOf(client, apps)).map((fn) => ({
    ...fn,
    url: showFunctionUrl(connection.functions.value, fn.url),
  }));
  if (options.json) context.stdout.write(`${JSON.stringify(functions, null, 2)}\n`);
  else context.stdout.write(render(context, options.tenant, apps, functions));
  return EXIT.ok;
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

function render(
  context: Context,
  tenant: string,
  apps: readonly App[],
  functions: readonly FunctionResource[],
): string {
  const style = createStyle(context.stdout, context.env);
  const empty = apps.filter(({ app }) => !functions.some((fn) => fn.app === app)).map(({ app }) => app);
  const note = empty.length > 0 ? `Apps without functions: ${printable(empty.join(", "))}\n` : "";
  if (functions.length === 0) return `${note}${nothing(tenant)}\n`;
  const rows = functions.map((fn) => [
    `${fn.app}/${fn.function}`,
    showLive(fn.live),
    fn.config.runtime,
    `${fn.config.memoryMiB} MiB`,
    showScaling(fn.config.policy.scaling),
    showAgo(fn.updatedAt, Date.now()),
    fn.url,
  ]);
  return renderTable(COLUMNS, rows, style) + note;
}

function nothing(tenant: string): string {
  const deploy = "Deploy some: npx colibri deploy examples/hello";
  if (tenant === DEFAULT_TENANT) return `No functions yet. ${deploy}`;
  return `Tenant ${tenant} has no functions yet. ${deploy} --tenant ${tenant}`;
}
