import type { Config, FunctionResource } from "#sdk/node/client.ts";
import type { Target } from "../target.ts";

/** A variable of a function or app, and what set it. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly from: "colibri.yaml" | "app" | "function";
  /** Absent: all functions of the app. */
  readonly function?: string;
}

/** All that are set beside colibri.yaml, those of the app first. */
export function settingsOfApp({ app, functions }: Config): Setting[] {
  const own = Object.entries(functions).flatMap(([fn, environment]) =>
    sorted(environment).map(([name, value]) => ({ name, value, from: "function" as const, function: fn })),
  );
  return [...sorted(app).map(([name, value]) => ({ name, value, from: "app" as const })), ...own];
}

/** What the function runs with, each variable once, by name. */
export function settingsOfFunction(fn: FunctionResource, { app, functions }: Config): Setting[] {
  const layers = [
    ["colibri.yaml", fn.config.environment],
    ["app", app],
    ["function", functions[fn.function] ?? {}],
  ] as const;
  const settings = new Map<string, Setting>();
  for (const [from, environment] of layers)
    for (const [name, value] of Object.entries(environment))
      settings.set(name, { name, value, from, function: fn.function });
  return [...settings.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function showTarget(target: Target): string {
  return target.function === undefined ? target.app : `${target.app}/${target.function}`;
}

function sorted(environment: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(environment).sort(([a], [b]) => (a < b ? -1 : 1));
}
