import { closest } from "#contract/config/suggest.ts";
import { CliError, EXIT } from "../failure.ts";
import type { Surroundings } from "../surroundings.ts";
import { readContexts, type SavedContext, type SavedContexts } from "./file.ts";

/** The name that stands for the platform of this machine's home, and needs no entry. */
export const LOCAL = "local";

export interface ChosenContext {
  readonly saved: SavedContext;
  /** What named it. */
  readonly by: "--context" | "COLIBRI_CONTEXT" | "context use";
}

export type Choosing = Pick<Surroundings, "env" | "chosen">;

/** Which context the command is to use; undefined: none, the platform is that of COLIBRI_URL or the home. */
export function chosenContext(surroundings: Choosing): ChosenContext | undefined {
  const choice = nameOf(surroundings);
  if (choice === undefined || choice.name === LOCAL) return undefined;
  return { saved: findContext(choice.contexts ?? readContexts(surroundings), choice.name), by: choice.by };
}

interface Choice {
  readonly name: string;
  readonly by: ChosenContext["by"];
  readonly contexts?: SavedContexts;
}

function nameOf(surroundings: Choosing): Choice | undefined {
  const { chosen, env } = surroundings;
  if (chosen !== undefined) return { name: chosen, by: "--context" };
  if (env.COLIBRI_URL) return undefined;
  if (env.COLIBRI_CONTEXT) return { name: env.COLIBRI_CONTEXT, by: "COLIBRI_CONTEXT" };
  const contexts = readContexts(surroundings);
  return contexts.current === undefined ? undefined : { name: contexts.current, by: "context use", contexts };
}

/** @throws CliError naming the one that was probably meant. */
export function findContext({ contexts }: SavedContexts, name: string): SavedContext {
  const found = contexts.find((candidate) => candidate.name === name);
  if (found !== undefined) return found;
  const names = [LOCAL, ...contexts.map((candidate) => candidate.name)];
  const meant = closest(name, names);
  throw new CliError(`There is no context ${name}.`, {
    exit: EXIT.notFound,
    hints: [
      ...(meant === undefined ? [] : [`Did you mean ${meant}?`]),
      "`npx colibri context list` shows those there are; `npx colibri login <url>` adds one.",
    ],
  });
}
