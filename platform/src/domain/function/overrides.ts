import type { FunctionConfig } from "#contract/api/resources.ts";
import type { RevisionContent } from "./function.ts";

export type Environment = Readonly<Record<string, string>>;

/** Variables that were set beside colibri.yaml, for all functions of an app and for one. They stay across deployments. */
export interface Overrides {
  readonly app: Environment;
  readonly functions: Readonly<Record<string, Environment>>;
}

export interface OverridesChange {
  /** Absent: for all functions of the app. */
  readonly function?: string | undefined;
  readonly set: Environment;
  readonly unset: readonly string[];
}

export const NO_OVERRIDES: Overrides = Object.freeze({ app: {}, functions: {} });

export function changedOverrides(before: Overrides, { function: name, set, unset }: OverridesChange): Overrides {
  const changed = (environment: Environment = {}): Environment => {
    const kept = Object.entries({ ...environment, ...set }).filter(([key]) => !unset.includes(key));
    return Object.fromEntries(kept);
  };
  if (name === undefined) return { ...before, app: changed(before.app) };
  const others = withoutFunction(before, name);
  const own = changed(before.functions[name]);
  return Object.keys(own).length === 0 ? others : { ...before, functions: { ...others.functions, [name]: own } };
}

export function withoutFunction({ app, functions }: Overrides, name: string): Overrides {
  return { app, functions: Object.fromEntries(Object.entries(functions).filter(([other]) => other !== name)) };
}

/** What the function runs with: what was set for it counts before what was set for its app, and that before colibri.yaml. */
export function overridden(config: FunctionConfig, { app, functions }: Overrides, name: string): FunctionConfig {
  return { ...config, environment: { ...config.environment, ...app, ...functions[name] } };
}

/** The environment as colibri.yaml has it. */
export function declaredEnvironment({ config, declared }: Pick<RevisionContent, "config" | "declared">): Environment {
  return declared ?? config.environment;
}

/** Variables that a revision has otherwise than colibri.yaml does, sorted. */
export function overriddenNames(content: Pick<RevisionContent, "config" | "declared">): string[] {
  const declared = declaredEnvironment(content);
  const names = Object.keys(content.config.environment);
  return names.filter((name) => declared[name] !== content.config.environment[name]).sort();
}
