import { showMemory } from "#contract/config/memory-class.ts";
import { showPolicy } from "#contract/network/policy.ts";
import type { App, FunctionResource, Invocation, Revision } from "#sdk/node/client.ts";
import { Client } from "../client/client.ts";
import { orSuggest } from "../client/not-found.ts";
import { findConnection } from "../connection/connection.ts";
import type { ExitCode } from "../failure.ts";
import type { Printed } from "../output/format.ts";
import { showDigest, showFunctionUrl, showLive, showScaling } from "../output/function.ts";
import { createStyle, type Style } from "../output/style.ts";
import { type Fact, renderFacts, renderTable } from "../output/table.ts";
import { showAgo, showBytes, showSpan } from "../output/units.ts";
import type { Surroundings } from "../surroundings.ts";
import { checkTenant, type FunctionName, parseTarget, type Target } from "../target.ts";
import { type ShowOptions, show } from "../watch/refresh.ts";

export interface InspectOptions extends ShowOptions {
  readonly tenant: string;
}

const LAST_INVOCATIONS = 10;

export function inspect(surroundings: Surroundings, name: string, options: InspectOptions): Promise<ExitCode> {
  const target: Target = parseTarget(name);
  const connection = findConnection(surroundings);
  const tenant = checkTenant(options.tenant);
  const style = createStyle(surroundings.stdout, surroundings.env);
  return show(surroundings, options, (signal) => {
    const client = new Client(connection, tenant, signal);
    return orSuggest(client, target, () =>
      target.function === undefined ? inspectApp(client, target.app, style) : inspectFunction(client, target, style),
    );
  });
}

async function inspectApp(client: Client, name: string, style: Style): Promise<Printed> {
  const [app, found] = await Promise.all([client.app(name), client.functions(name)]);
  const functions = found.map((fn) => withUrl(client, fn));
  return {
    data: { ...app, functions },
    text: (wide) => renderApp(app, functions, { style, wide }),
    names: () => functions.map((fn) => `${fn.app}/${fn.function}`),
  };
}

function renderApp(
  app: App,
  functions: readonly FunctionResource[],
  { style, wide }: { readonly style: Style; readonly wide: boolean },
): string {
  const now = Date.now();
  const facts = [
    ["app", app.app, "bold"],
    ["tenant", app.tenant],
    ["network", showPolicy(app.network)],
    ["created", `${app.createdAt} (${showAgo(app.createdAt, now)})`],
    ["updated", `${app.updatedAt} (${showAgo(app.updatedAt, now)})`],
  ] as const;
  const rows = functions.map((fn) => [
    fn.function,
    showLive(fn.live),
    fn.config.runtime,
    fn.config.handler,
    fn.url,
    ...(wide
      ? [showMemory(fn.config.memoryMiB), showScaling(fn.config.policy.scaling), showAgo(fn.updatedAt, now)]
      : []),
  ]);
  const head = ["FUNCTION", "REVISION", "RUNTIME", "HANDLER", "URL", ...(wide ? ["MEMORY", "SCALING", "UPDATED"] : [])];
  return `${renderFacts(facts, style)}\n${renderTable(head, rows, style)}`;
}

async function inspectFunction(client: Client, name: FunctionName, style: Style): Promise<Printed> {
  const [found, revisions, invocations] = await Promise.all([
    client.function(name),
    client.revisions(name),
    client.invocations(name, LAST_INVOCATIONS),
  ]);
  const fn = withUrl(client, found);
  const parts = () => [
    renderFacts(factsOf(fn), style),
    renderRevisions(fn, revisions, style),
    renderInvocations(invocations, style),
  ];
  return {
    data: { ...fn, revisions, invocations },
    text: () => parts().join("\n"),
    names: () => [`${fn.app}/${fn.function}`],
  };
}

function withUrl(client: Client, fn: FunctionResource): FunctionResource {
  return { ...fn, url: showFunctionUrl(client.connection.functions.value, fn.url) };
}

function factsOf(fn: FunctionResource): Fact[] {
  const { config } = fn;
  const { scaling, queue, limits, triggers } = config.policy;
  const environment = Object.entries(config.environment);
  const now = Date.now();
  return [
    ["function", `${fn.app}/${fn.function}`, "bold"],
    ["tenant", fn.tenant],
    ["url", fn.url],
    ...triggers.map((trigger): Fact => ["trigger", showTrigger(trigger)]),
    ["live", showLive(fn.live)],
    ["runtime", `${config.runtime}, ${config.handler}`],
    ["memory", `${showMemory(config.memoryMiB)} per sandbox`],
    ["timeout", `${showSpan(config.timeoutMs)}, to initialise ${showSpan(config.initTimeoutMs)}`],
    ["concurrency", `${config.concurrency} per sandbox (${config.execution})`],
    ["scaling", `${showScaling(scaling)} sandboxes, ${showIdle(scaling)}`],
    ["queue", `${queue.length} at most, ${showSpan(queue.timeoutMs)} at most`],
    ["body", `${showBytes(limits.bodyBytes)} at most`],
    ...environment
      .filter(([key]) => !fn.overridden.includes(key))
      .map(([key, value]): Fact => ["env", `${key}=${value}`]),
    ...fn.overridden.map((key): Fact => ["env", `${key}: set by config`]),
    ["source", fn.source],
    ["created", `${fn.createdAt} (${showAgo(fn.createdAt, now)})`],
    ["updated", `${fn.updatedAt} (${showAgo(fn.updatedAt, now)})`],
  ];
}

type Scaling = FunctionResource["config"]["policy"]["scaling"];

function showIdle({ keepAliveMs, freezeAfterMs }: Scaling): string {
  const frozen = freezeAfterMs === undefined ? "" : `, frozen after ${showSpan(freezeAfterMs)}`;
  return `kept for ${showSpan(keepAliveMs)} when idle${frozen}`;
}

function showTrigger(trigger: FunctionResource["config"]["policy"]["triggers"][number]): string {
  if ("timer" in trigger) return `timer ${trigger.timer}`;
  return `http ${trigger.http}${trigger.host === undefined ? "" : ` on ${trigger.host}`}`;
}

function renderRevisions(fn: FunctionResource, revisions: readonly Revision[], style: Style): string {
  const live = new Set(fn.live.map(({ revision }) => revision));
  const rows = revisions.map((entry) => [
    entry.revision + (live.has(entry.revision) ? " live" : ""),
    showAgo(entry.createdAt, Date.now()),
    showBytes(entry.bundle.bytes),
    showDigest(entry.bundle.digest),
    entry.runtime,
    showMemory(entry.memoryMiB),
  ]);
  return renderTable(["REVISION", "CREATED", "BUNDLE", "DIGEST", "RUNTIME", "MEMORY"], rows, style);
}

function renderInvocations(invocations: readonly Invocation[], style: Style): string {
  if (invocations.length === 0) return "No invocations yet.\n";
  const rows = invocations.map((entry) => [
    entry.id,
    showAgo(entry.startedAt, Date.now()),
    entry.revision,
    entry.outcome,
    String(entry.status),
    entry.waitMs.toFixed(1),
    entry.coldMs.toFixed(1),
    entry.runMs.toFixed(1),
  ]);
  return renderTable(
    ["INVOCATION", "STARTED", "REVISION", "OUTCOME", "STATUS", "WAIT MS", "COLD MS", "RUN MS"],
    rows,
    style,
  );
}
