import { type Argument, Option } from "commander";
import { ERRORS } from "#contract/errors.ts";
import { isName } from "#contract/names.ts";
import { LOCAL } from "../contexts/choice.ts";
import { readContexts } from "../contexts/file.ts";
import { printable } from "../output/printable.ts";
import type { Surroundings } from "../surroundings.ts";
import type { Candidate, Completion } from "./completion.ts";

/** A shell waits for it with every key: what does not answer by then is not offered. */
const LIMIT_MS = 1_000;
const APPS_AT_MOST = 20;

interface Typing {
  readonly surroundings: Surroundings;
  readonly words: readonly string[];
  readonly typed: string;
}
type Source = (typing: Typing) => Completion | Promise<Completion>;

/** By the name of an argument, or of an option's value, as its help has it. */
const SOURCES: Readonly<Record<string, Source>> = {
  "app/function": async (typing) => only(await functionNames(typing)),
  "app[/function]": async (typing) => only([...(await appNames(typing)), ...(await functionNames(typing))]),
  app: async (typing) => only(await appNames(typing)),
  context: ({ surroundings }) => only(contextNames(surroundings)),
  key: async (typing) => only(await settingNames(typing)),
  keys: async (typing) => only(await settingNames(typing)),
  "error-code": () => only(Object.entries(ERRORS).map(([value, { meaning }]) => ({ value, about: meaning }))),
  template: templateNames,
  language: languageNames,
  folder: () => ({ also: "folders", candidates: [] }),
  path: () => ({ also: "files", candidates: [] }),
};

export async function valuesOf(
  surroundings: Surroundings,
  words: readonly string[],
  of: Option | Argument,
  typed: string,
): Promise<Completion> {
  if (of.argChoices !== undefined) return only(of.argChoices.map((value) => ({ value })));
  const name = of instanceof Option ? (/[<[](.+?)(?:\.\.\.)?[>\]]/.exec(of.flags)?.[1] ?? "") : of.name();
  // The path of an address is none of this machine.
  const source = of instanceof Option && of.long === "--path" ? undefined : SOURCES[name];
  return source === undefined ? only([]) : source({ surroundings, words, typed });
}

function only(candidates: readonly Candidate[]): Completion {
  return { also: "none", candidates };
}

/** Of ours; a folder is one too. */
async function templateNames(): Promise<Completion> {
  const { readCatalogue } = await import("../init/catalogue.ts");
  return { also: "folders", candidates: readCatalogue().map(({ name, title }) => ({ value: name, about: title })) };
}

async function languageNames(): Promise<Completion> {
  const { LANGUAGE_NAMES } = await import("../init/catalogue.ts");
  return only(Object.entries(LANGUAGE_NAMES).map(([value, about]) => ({ value, about })));
}

function contextNames(surroundings: Surroundings): Candidate[] {
  const saved = readContexts(surroundings).contexts.map(({ name, controlUrl }) => ({ value: name, about: controlUrl }));
  return [{ value: LOCAL, about: "the platform of this machine's home" }, ...saved];
}

async function appNames(typing: Typing): Promise<Candidate[]> {
  const client = await connect(typing);
  return (await client.apps()).filter(({ app }) => isName(app)).map(({ app }) => ({ value: app, about: "app" }));
}

/** Of the app that was typed, or of all. */
async function functionNames(typing: Typing): Promise<Candidate[]> {
  const client = await connect(typing);
  const [app, rest] = typing.typed.split("/");
  const apps = rest === undefined ? (await client.apps()).map((found) => found.app) : [app ?? ""];
  const wanted = apps.filter((name) => name.startsWith(app ?? "")).slice(0, APPS_AT_MOST);
  const lists = await Promise.all(wanted.map((name) => client.functions(name)));
  // What is no name would be typed into the reader's shell.
  const named = lists.flat().filter((fn) => isName(fn.app) && isName(fn.function));
  return named.map((fn) => ({ value: `${fn.app}/${fn.function}`, about: printable(fn.config.runtime) }));
}

/** What `config` has set for the app that was typed before. */
async function settingNames(typing: Typing): Promise<Candidate[]> {
  const target = typing.words.slice(2).find((word) => !word.startsWith("-")) ?? "";
  const [app = "", fn] = target.split("/");
  const config = await (await connect(typing)).config(app);
  const own = fn === undefined ? config.app : { ...config.app, ...config.functions[fn] };
  return Object.keys(own).map((value) => ({ value: printable(value) }));
}

/** As the command that is being typed would. */
async function connect({ surroundings, words }: Typing) {
  const [{ Client }, { findConnection }] = await Promise.all([
    import("../client/client.ts"),
    import("../connection/connection.ts"),
  ]);
  const chosen = optionIn(words, "--context");
  const connection = findConnection(chosen === undefined ? surroundings : { ...surroundings, chosen });
  return new Client(connection, optionIn(words, "--tenant") ?? "default", AbortSignal.timeout(LIMIT_MS));
}

function optionIn(words: readonly string[], flag: string): string | undefined {
  const at = words.findIndex((word) => word === flag || word.startsWith(`${flag}=`));
  const word = words[at];
  if (word === undefined || at === words.length - 1) return undefined;
  return word === flag ? words[at + 1] : word.slice(flag.length + 1);
}
