import { count } from "#contract/count.ts";
import { overriddenIn } from "../deploy/summary.ts";
import type { Style } from "../output/style.ts";
import { renderTable } from "../output/table.ts";
import type { AppOutcome } from "./deploy-all.ts";

export function describeOutcomes(outcomes: readonly AppOutcome[]): unknown {
  return {
    ok: outcomes.every(({ error }) => error === undefined),
    apps: outcomes.map(({ app, functions, warnings, error }) => ({
      ...{ app, state: error === undefined ? "done" : "failed", functions, warnings },
      ...(error && { error: { code: error.code, message: error.message } }),
    })),
  };
}

export function renderOutcomes(outcomes: readonly AppOutcome[], style: Style, dryRun: boolean): string {
  const rows = outcomes.flatMap(({ app, functions, error }) => {
    if (error !== undefined && functions.length === 0) return [[app, "", "failed"]];
    return functions.map((fn) => [app, fn.function, fn.change ?? "failed", fn.revision ?? "", fn.url ?? ""]);
  });
  const head = ["APP", "FUNCTION", "CHANGE", dryRun ? "LIVE NOW" : "REVISION", ...(dryRun ? [] : ["URL"])];
  const table = renderTable(head, rows, style);
  const overridden = outcomes.map((outcome) => appOverridden(outcome)).join("");
  return `${table}${overridden}\n${dryRun ? previewed(outcomes) : deployed(outcomes)}\n`;
}

function appOverridden({ app, functions }: AppOutcome): string {
  const told = overriddenIn({ functions });
  return told === "" ? "" : `${app}: ${told}`;
}

function deployed(outcomes: readonly AppOutcome[]): string {
  const failed = outcomes.filter(({ error }) => error !== undefined).map(({ app }) => app);
  const done = `${outcomes.length - failed.length} of ${count(outcomes.length, "app")} deployed`;
  return failed.length === 0 ? `${done}.` : `${done}; failed: ${failed.join(", ")}.`;
}

function previewed(outcomes: readonly AppOutcome[]): string {
  const changes = outcomes.flatMap(({ functions }) => functions).filter(({ change }) => change !== "unchanged");
  if (outcomes.some(({ error }) => error !== undefined)) return "Nothing was deployed, and not all of it could be.";
  if (changes.length === 0) return "Nothing would change.";
  return `${count(changes.length, "function")} would change; nothing was deployed.`;
}
